"""What an edit of the calendar would do, before anybody saves it: pure functions over two
calendars.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from windows.calendar.recurrence import PLANNED
from windows.calendar.verdict import HORIZON, LOCKDOWN, Calendar, Span, open_stretches, without

SHUT_TOO_LONG = timedelta(days=30)
A_DAY = timedelta(days=1)
LOCKED = frozenset({LOCKDOWN})
MONTHS = 12


@dataclass(frozen=True)
class Month:
    """Usable hours of one UTC month, before and after."""

    month: date
    before: float
    after: float


@dataclass(frozen=True)
class Shut:
    """The longest time within the year ahead in which a priority cannot start; None where it never
    can, or always.
    """

    before: Span | None
    after: Span | None


@dataclass(frozen=True)
class Effect:
    """For one priority: the open time gained and lost in the year ahead, usable hours by month, and
    the longest time shut.
    """

    priorities: tuple[str, ...]
    components: list[str]
    gained: list[Span]
    lost: list[Span]
    months: list[Month]
    shut: Shut
    never: bool

    @property
    def too_long(self) -> bool:
        """Whether the edit would keep the priority out for more than 30 days at a stretch, and
        longer than now.
        """
        after, before = self.shut.after, self.shut.before
        return (
            after is not None
            and length(after) > SHUT_TOO_LONG
            and (before is None or length(after) >= length(before) + A_DAY)
        )

    def is_like(self, other: Effect) -> bool:
        """Whether it says the same of another component."""
        return (self.priorities, self.gained, self.lost, self.months) == (
            other.priorities,
            other.gained,
            other.lost,
            other.months,
        )

    @property
    def hours(self) -> tuple[float, float]:
        return sum(month.before for month in self.months), sum(month.after for month in self.months)

    @property
    def is_none(self) -> bool:
        return not self.gained and not self.lost


def length(span: Span) -> timedelta:
    """How long a span is."""
    return span[1] - span[0]


def compare(before: Calendar, after: Calendar, at: datetime, component: str = "") -> list[Effect]:
    """The effect in the 400 days from `at` on a component for each planned priority; those alike
    are one. A lockdown is looked past.

    No component: one that no rule names.
    """
    scope = frozenset({component}) if component else frozenset[str]()
    found: dict[tuple[tuple[Span, ...], tuple[Span, ...]], list[str]] = {}
    for priority in PLANNED:
        was, will = (
            tuple(open_stretches(priority, at, at + HORIZON, rules, scope, LOCKED))
            for rules in (before, after)
        )
        found.setdefault((was, will), []).append(priority)
    return [
        Effect(
            priorities=tuple(names),
            components=[component],
            gained=list(without(will, was)),
            lost=list(without(was, will)),
            months=list(_months(at, was, will)),
            shut=Shut(longest_gap(was, at), longest_gap(will, at)),
            never=not will,
        )
        for (was, will), names in found.items()
    ]


def longest_gap(stretches: Sequence[Span], at: datetime) -> Span | None:
    """The longest time between open stretches, from `at` to the horizon; None without any stretch
    at all.
    """
    if not stretches:
        return None
    ends = [at, *(end for _, end in stretches)]
    starts = [*(start for start, _ in stretches), at + HORIZON]
    gaps = [(end, start) for end, start in zip(ends, starts, strict=True) if start > end]
    return max(gaps, key=length, default=None)


def _months(at: datetime, was: Sequence[Span], will: Sequence[Span]) -> Iterable[Month]:
    month = at.date().replace(day=1)
    for _ in range(MONTHS):
        following = (month + timedelta(days=32)).replace(day=1)
        begin, end = (datetime(day.year, day.month, 1, tzinfo=UTC) for day in (month, following))
        yield Month(month, _hours(was, begin, end), _hours(will, begin, end))
        month = following


def _hours(stretches: Sequence[Span], begin: datetime, end: datetime) -> float:
    inside = (
        min(stop, end) - max(start, begin)
        for start, stop in stretches
        if start < end and begin < stop
    )
    return round(sum(inside, timedelta(0)).total_seconds() / 3600, 1)
