"""Rules of the calendar as values, and where they fall on the time line. No queries, no clock.

Instants are aware and in UTC; intervals are half-open, `[start, end)`. A version of a rule counts
from `since` to `till`: an edit ends one version and begins the next, so that what was open last
month is still known (promise 7).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import holidays
from dateutil.rrule import rrulestr

EMERGENCY = "P0"
PLANNED = ("P1", "P2", "P3")
FOREVER = datetime(9999, 1, 1, tzinfo=UTC)  # the end of what nobody has ended yet
LONGEST_WINDOW = timedelta(hours=24)


@dataclass(frozen=True)
class Day:
    """A day of a year: fixed (month, day), the nth weekday of a month (-1: the last), a holiday of
    a country, or one date; plus an offset in days.
    """

    month: int = 0
    day: int = 0
    weekday: int = -1
    nth: int = 0
    country: str = ""
    holiday: str = ""
    on: str = ""
    offset: int = 0

    def of(self, year: int) -> date | None:
        """That day in `year`, or None if the year has none (29 February, a holiday not yet kept,
        another year's date).
        """
        found = self._base(year)
        return found + timedelta(days=self.offset) if found else None

    def _base(self, year: int) -> date | None:
        if self.on:
            fixed = date.fromisoformat(self.on)
            return fixed if fixed.year == year else None
        if self.holiday:
            return _holiday(self.country, self.holiday, year)
        if self.nth:
            return _nth_weekday(year, self.month, self.weekday, self.nth)
        try:
            return date(year, self.month, self.day)
        except ValueError:
            return None


def _nth_weekday(year: int, month: int, weekday: int, nth: int) -> date | None:
    if nth < 0:
        last = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
        return last - timedelta(days=(last.weekday() - weekday) % 7 + 7 * (-nth - 1))
    first = date(year, month, 1)
    found = first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))
    return found if found.month == month else None


@lru_cache(maxsize=4096)
def _holiday(country: str, name: str, year: int) -> date | None:
    # The day itself, not the day off given in its place: the shop's customers do not shop by the
    # day off.
    kept = holidays.country_holidays(country, years=year, observed=False)
    days = [day for day in kept.get_named(name, lookup="exact") if day.year == year]
    return days[0] if days else None


@dataclass(frozen=True)
class Window:
    """A maintenance window in the local time of `zone`: an RFC 5545 rule with a duration, or
    without a rule one opening alone.

    No scope means every component. `skips` are the local days on which it does not open.
    """

    name: str
    rule: str
    begins: datetime
    minutes: int
    zone: str = "UTC"
    priorities: frozenset[str] = frozenset(PLANNED)
    scope: frozenset[str] = frozenset()
    capacity: int | None = None
    until: date | None = None
    skips: frozenset[date] = frozenset()
    since: datetime | None = None
    till: datetime | None = None
    key: int = 0

    kind = "window"

    def opens(self, priority: str, component: str | None) -> bool:
        """Whether the priority may work in it on that component; None is a component that no rule
        names.
        """
        return priority in self.priorities and (not self.scope or component in self.scope)

    @property
    def is_once(self) -> bool:
        """One opening alone: without a rule, or by one that ends before it comes again."""
        return not self.rule or (self.until is not None and _comes_once(self))

    def occurrences(self, start: datetime, end: datetime) -> Iterator[Occurrence]:
        """Those that overlap `[start, end)`, by start."""
        for year in range((start - LONGEST_WINDOW).year, end.year + 1):
            starts, found = _window_year(self, year)
            for index in range(
                bisect_left(starts, start - LONGEST_WINDOW), bisect_left(starts, end)
            ):
                if (occurrence := found[index]).end > start:
                    yield occurrence


@dataclass(frozen=True)
class Closure:
    """A freeze, a blackout or a lockdown; admits `admits` alone.

    From the start of the day `first` to the end of the day `last`, every year; or once, from the
    instant `starts` to `ends` (None: until somebody ends it).
    """

    name: str
    kind: str
    first: Day | None = None
    last: Day | None = None
    zones: tuple[str, ...] = ("UTC",)
    admits: frozenset[str] = frozenset({EMERGENCY})
    scope: frozenset[str] = frozenset()
    starts: datetime | None = None
    ends: datetime | None = None
    since: datetime | None = None
    till: datetime | None = None
    key: int = 0

    def shuts(self, priority: str, scope: frozenset[str]) -> bool:
        """Whether it keeps out a change of that priority on these components; none named: on one
        that no rule names.
        """
        return priority not in self.admits and (not self.scope or bool(scope & self.scope))

    def occurrences(self, start: datetime, end: datetime) -> Iterator[Occurrence]:
        """Those that overlap `[start, end)`, by start."""
        # A closure may last for nearly a year, and an offset carry it over the year's edge.
        years = range(start.year - 2, end.year + 2) if self.starts is None else [0]
        for year in years:
            found = _closure_year(self, year)
            if found is not None and found.start < end and start < found.end:
                yield found


Rule = Window | Closure


@dataclass(frozen=True, order=True)
class Occurrence:
    """One window or closure as it falls on the time line."""

    start: datetime
    end: datetime
    name: str = field(compare=False)
    kind: str = field(compare=False)
    rule: Window | Closure = field(compare=False)

    @property
    def priorities(self) -> frozenset[str]:
        """Who may work in the window, or through the closure."""
        return self.rule.priorities if isinstance(self.rule, Window) else self.rule.admits

    @property
    def capacity(self) -> int | None:
        return self.rule.capacity if isinstance(self.rule, Window) else None

    @property
    def admitted(self) -> str:
        """Who may work in it or through it, in words."""
        return ", ".join(sorted(self.priorities)) or "nobody"

    @property
    def is_open_ended(self) -> bool:
        return self.end == FOREVER

    def admits(self, priority: str, component: str | None) -> bool:
        """Of a window: whether the priority may work in it on the component."""
        return isinstance(self.rule, Window) and self.rule.opens(priority, component)

    def shuts(self, priority: str, scope: frozenset[str] = frozenset()) -> bool:
        """Of a freeze or blackout: whether it keeps the priority out."""
        return isinstance(self.rule, Closure) and self.rule.shuts(priority, scope)


def _clipped(rule: Window | Closure, start: datetime, end: datetime) -> Occurrence | None:
    """The part of `[start, end)` in which this version of the rule counted."""
    start = max(start, rule.since) if rule.since else start
    end = min(end, rule.till) if rule.till else end
    return Occurrence(start, end, rule.name, rule.kind, rule) if start < end else None


@lru_cache(maxsize=2048)  # a year of a daily window holds some 80 kB
def _window_year(window: Window, year: int) -> tuple[list[datetime], list[Occurrence]]:
    """Starts, and occurrences that start in the UTC year. A local time that a DST change skips
    takes the offset from before the gap; one that occurs twice is the first (RFC 5545, 3.3.5).
    Durations are measured in UTC.
    """
    zone, length = ZoneInfo(window.zone), timedelta(minutes=window.minutes)
    found = []
    first, following = datetime(year, 1, 1), datetime(year + 1, 1, 1)  # noqa: DTZ001
    around = timedelta(days=2)
    for local in _local_starts(window, first - around, following + around):
        start = local.replace(tzinfo=zone).astimezone(UTC)
        is_kept = (
            window.until is None or local.date() <= window.until
        ) and local.date() not in window.skips
        if (
            start.year == year
            and is_kept
            and (occurrence := _clipped(window, start, start + length))
        ):
            found.append(occurrence)
    found.sort()
    return [occurrence.start for occurrence in found], found


@lru_cache(maxsize=4096)
def _comes_once(window: Window) -> bool:
    """Whether a rule with a last day opens on one day at most."""
    assert window.until is not None
    if window.until - window.begins.date() > timedelta(days=366 * 5):
        return False
    days = {
        at.date()
        for at in _local_starts(window, window.begins, datetime.combine(window.until, time.max))
    }
    return len(days - window.skips) <= 1


def _local_starts(window: Window, begin: datetime, end: datetime) -> list[datetime]:
    """The rule's local starts within `[begin, end]`, in order."""
    if not window.rule:
        return [window.begins] if begin <= window.begins <= end else []
    anchor, rule = _anchored(window, begin)
    return [
        at
        for at in rrulestr(rule, dtstart=anchor).between(begin, end, inc=True)
        if at >= window.begins
    ]


def rule_parts(rule: str) -> dict[str, str]:
    """`FREQ=WEEKLY;BYDAY=TU` → `{"FREQ": "WEEKLY", "BYDAY": "TU"}`."""
    return dict(part.split("=", 1) for part in rule.upper().split(";") if "=" in part)


def _anchored(window: Window, begin: datetime) -> tuple[datetime, str]:
    """The same rule, begun a whole number of its intervals later: a rule that runs since 2000 is
    not counted from 2000 each time.

    A month or year is counted whole, also the one in which it begins; whatever lies before `begins`
    is left out afterwards.
    """
    parts, begins = rule_parts(window.rule), window.begins
    every, freq = int(parts.get("INTERVAL", 1)), parts["FREQ"]
    if freq in ("DAILY", "WEEKLY"):
        step = every * (7 if freq == "WEEKLY" else 1)
        return begins + timedelta(days=max(0, (begin - begins).days) // step * step), window.rule
    if not parts.keys() & {"BYDAY", "BYMONTHDAY"}:
        parts["BYMONTHDAY"] = str(begins.day)
        if freq == "YEARLY":
            parts.setdefault("BYMONTH", str(begins.month))
    rule = ";".join(f"{name}={value}" for name, value in parts.items())
    if freq == "MONTHLY":
        months = (begin.year - begins.year) * 12 + begin.month - begins.month
        reached = begins.year * 12 + begins.month - 1 + max(0, months - 1) // every * every
        return begins.replace(year=reached // 12, month=reached % 12 + 1, day=1), rule
    return (
        begins.replace(
            year=begins.year + max(0, begin.year - 1 - begins.year) // every * every, month=1, day=1
        ),
        rule,
    )


@lru_cache(maxsize=8192)
def _closure_year(closure: Closure, year: int) -> Occurrence | None:
    if closure.starts is not None:
        return _clipped(closure, closure.starts, closure.ends or FOREVER)
    assert closure.first is not None
    assert closure.last is not None
    first, last = closure.first.of(year), closure.last.of(year)
    if first is None or last is None:
        return None
    if last < first:  # from November to January: the end lies in the next year
        last = closure.last.of(year + 1)
        if last is None:
            return None
    # The day runs from 00:00 in the earliest to 24:00 in the latest of the zones in which the shop
    # sells (A5).
    midnight = time(0)
    start = min(
        datetime.combine(first, midnight, ZoneInfo(zone)).astimezone(UTC) for zone in closure.zones
    )
    end = max(
        datetime.combine(last + timedelta(days=1), midnight, ZoneInfo(zone)).astimezone(UTC)
        for zone in closure.zones
    )
    return _clipped(closure, start, end)
