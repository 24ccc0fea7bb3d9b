"""The calendar verdict: pure functions over values. No queries, no clock.

`decide` is the only place where windows, freezes and blackouts are judged (R72-R77). Form, page, API, gate, scheduler, worker and
`start` all ask it. Deny beats allow. Instants are aware and in UTC; intervals are half-open, `[start, end)`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import holidays
from dateutil.rrule import rrulestr

from audit.refusal import Reason
from requests.say import say_day, say_instant, say_until

EMERGENCY = "P0"
HORIZON = timedelta(days=400)
EXCEPTION_ROLES = ("cto", "change-manager")


@dataclass(frozen=True)
class Day:
    """A day of a year: fixed (month, day), the nth weekday of a month, a holiday of a country, or one date; plus an offset in days."""

    month: int = 0
    day: int = 0
    weekday: int = -1
    nth: int = 0
    country: str = ""
    holiday: str = ""
    on: str = ""
    offset: int = 0

    def of(self, year: int) -> date | None:
        """That day in `year`, or None if the year has none (29 February, a holiday not yet kept, another year's date)."""
        found = self._base(year)
        return found + timedelta(days=self.offset) if found else None

    def _base(self, year: int) -> date | None:
        if self.on:
            fixed = date.fromisoformat(self.on)
            return fixed if fixed.year == year else None
        if self.holiday:
            return _holiday(self.country, self.holiday, year)
        if self.nth:
            first = date(year, self.month, 1)
            return first + timedelta(days=(self.weekday - first.weekday()) % 7 + 7 * (self.nth - 1))
        try:
            return date(year, self.month, self.day)
        except ValueError:
            return None


@lru_cache(maxsize=4096)
def _holiday(country: str, name: str, year: int) -> date | None:
    # The day itself, not the day off given in its place: the shop's customers do not shop by the day off.
    kept = holidays.country_holidays(country, years=year, observed=False)
    days = [day for day in kept.get_named(name, lookup="exact") if day.year == year]
    return days[0] if days else None


@dataclass(frozen=True)
class Window:
    """A maintenance window: an RFC 5545 rule in the local time of `zone`, with a duration. No scope means every component."""

    name: str
    rule: str
    begins: datetime
    minutes: int
    zone: str = "UTC"
    priorities: frozenset[str] = frozenset({"P1", "P2", "P3"})
    scope: frozenset[str] = frozenset()
    capacity: int | None = None
    until: date | None = None

    def opens(self, priority: str, scope: frozenset[str]) -> bool:
        return priority in self.priorities and (not self.scope or (bool(scope) and scope <= self.scope))


@dataclass(frozen=True)
class Closure:
    """A freeze or blackout: from the start of `first` to the end of `last`, in every year; admits `admits` alone."""

    name: str
    kind: str
    first: Day
    last: Day
    zones: tuple[str, ...] = ("UTC",)
    admits: frozenset[str] = frozenset({EMERGENCY})
    scope: frozenset[str] = frozenset()

    def shuts(self, priority: str, scope: frozenset[str]) -> bool:
        return priority not in self.admits and (not self.scope or not scope or bool(scope & self.scope))


@dataclass(frozen=True, order=True)
class Occurrence:
    """One window or closure as it falls on the time line."""

    start: datetime
    end: datetime
    name: str = field(compare=False)
    kind: str = field(compare=False)
    rule: Window | Closure = field(compare=False)

    def admits(self, priority: str, scope: frozenset[str]) -> bool:
        """Of a window: whether the priority may work in it on these components."""
        return isinstance(self.rule, Window) and self.rule.opens(priority, scope)

    @property
    def priorities(self) -> frozenset[str]:
        """Who may work in the window, or through the closure."""
        return self.rule.priorities if isinstance(self.rule, Window) else self.rule.admits

    @property
    def capacity(self) -> int | None:
        return self.rule.capacity if isinstance(self.rule, Window) else None

    def shuts(self, priority: str, scope: frozenset[str] = frozenset()) -> bool:
        """Of a freeze or blackout: whether it keeps the priority out."""
        return isinstance(self.rule, Closure) and self.rule.shuts(priority, scope)


@dataclass(frozen=True)
class Calendar:
    windows: tuple[Window, ...] = ()
    closures: tuple[Closure, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """`allowed` for the whole interval asked; else why not, when next, and if now is open, until when."""

    allowed: bool
    reasons: tuple[Reason, ...] = ()
    next_allowed_start: datetime | None = None
    open_until: datetime | None = None


@lru_cache(maxsize=4096)
def _window_year(window: Window, year: int) -> tuple[Occurrence, ...]:
    """Occurrences that start in the UTC year. A local time that a DST change skips takes the offset from before the gap; one that
    occurs twice is the first (RFC 5545, 3.3.5). Durations are measured in UTC."""
    zone, length = ZoneInfo(window.zone), timedelta(minutes=window.minutes)
    rule = rrulestr(window.rule, dtstart=window.begins)
    found = []
    for local in rule.between(datetime(year, 1, 1) - timedelta(days=2), datetime(year + 1, 1, 1) + timedelta(days=2), inc=True):  # noqa: DTZ001
        start = local.replace(tzinfo=zone).astimezone(UTC)
        if start.year == year and (window.until is None or local.date() <= window.until):
            found.append(Occurrence(start, start + length, window.name, "window", window))
    return tuple(found)


@lru_cache(maxsize=4096)
def _closure_year(closure: Closure, year: int) -> Occurrence | None:
    first, last = closure.first.of(year), closure.last.of(year)
    if first is None or last is None:
        return None
    if last < first:  # from November to January: the end lies in the next year
        last = closure.last.of(year + 1)
        if last is None:
            return None
    # The day runs from 00:00 in the earliest to 24:00 in the latest of the zones in which the shop sells (A5).
    midnight = time(0)
    start = min(datetime.combine(first, midnight, ZoneInfo(zone)).astimezone(UTC) for zone in closure.zones)
    end = max(datetime.combine(last + timedelta(days=1), midnight, ZoneInfo(zone)).astimezone(UTC) for zone in closure.zones)
    return Occurrence(start, end, closure.name, closure.kind, closure)


def window_occurrences(calendar: Calendar, start: datetime, end: datetime) -> list[Occurrence]:
    """Every window occurrence that overlaps `[start, end)`, also those that a freeze shuts, by start."""
    found = [
        occurrence
        for window in calendar.windows
        for year in range((start - timedelta(minutes=window.minutes)).year, end.year + 1)
        for occurrence in _window_year(window, year)
        if occurrence.start < end and start < occurrence.end
    ]
    return sorted(found)


def closure_occurrences(calendar: Calendar, start: datetime, end: datetime) -> list[Occurrence]:
    """Every freeze and blackout that overlaps `[start, end)`, by start."""
    found = [
        occurrence
        for closure in calendar.closures
        for year in range(start.year - 1, end.year + 2)  # an offset may carry a day over the year's edge
        if (occurrence := _closure_year(closure, year)) and occurrence.start < end and start < occurrence.end
    ]
    return sorted(found)


def closed_time(priority: str, scope: frozenset[str], start: datetime, end: datetime, closures: Sequence[Occurrence]) -> timedelta:
    """How much of `[start, end)` lay in these freezes and blackouts (by start) for the priority; overlaps count once."""
    total, reached = timedelta(0), start
    for closure in closures:
        if closure.shuts(priority, scope):
            begin, stop = max(reached, closure.start), min(end, closure.end)
            total += max(timedelta(0), stop - begin)
            reached = max(reached, stop)
    return total


def open_stretches(
    priority: str,
    start: datetime,
    end: datetime,
    calendar: Calendar,
    scope: frozenset[str] = frozenset(),
    ignoring: frozenset[str] = frozenset(),
) -> Iterator[tuple[datetime, datetime]]:
    """The stretches within `[start, end)` in which the priority may work, in order; windows that touch are one stretch.

    `ignoring` names kinds of closure that a granted exception lifts (A6).
    """
    shut = [c for c in closure_occurrences(calendar, start, end) if c.shuts(priority, scope) and c.kind not in ignoring]
    merged: list[tuple[datetime, datetime]] = []
    for occurrence in window_occurrences(calendar, start, end):
        if not occurrence.admits(priority, scope):
            continue
        if merged and occurrence.start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], occurrence.end))
        else:
            merged.append((occurrence.start, occurrence.end))
    for opening, closing in merged:
        begin = opening
        for closure in shut:
            if closure.start >= closing or closure.end <= begin:
                continue
            if closure.start > begin:
                yield begin, closure.start
            begin = max(begin, closure.end)
            if begin >= closing:
                break
        if begin < closing:
            yield begin, closing


def decide(
    priority: str,
    start: datetime,
    end: datetime,
    calendar: Calendar,
    scope: frozenset[str] = frozenset(),
    ignoring: frozenset[str] = frozenset(),
) -> Verdict:
    """Whether a change of that priority on those components may work from `start` to `end` (R72-R77, A5-A7).

    `end` may equal `start`: the question is then about the instant. P0 may at any time (R74). Every refusal names the rule, when it
    ends, the next start that would be accepted for the same length, and who may override.
    """
    if priority == EMERGENCY:
        return Verdict(True, (), start, None)
    length = end - start
    allowed, upcoming, open_until = False, None, None
    for opening, closing in open_stretches(priority, start, start + HORIZON, calendar, scope, ignoring):
        if opening <= start < closing:
            open_until = closing
            allowed = end <= closing
        begin = max(opening, start)
        if upcoming is None and begin + length <= closing and begin < closing:
            upcoming = begin
        if upcoming is not None:
            break
    if allowed:
        return Verdict(True, (), start, open_until)
    return Verdict(False, tuple(_reasons(priority, start, end, calendar, scope, ignoring, open_until, upcoming)), upcoming, open_until)


def _reasons(
    priority: str,
    start: datetime,
    end: datetime,
    calendar: Calendar,
    scope: frozenset[str],
    ignoring: frozenset[str],
    open_until: datetime | None,
    upcoming: datetime | None,
) -> Iterator[Reason]:
    after = f"next: {say_instant(upcoming)}" if upcoming else f"no start fits within {HORIZON.days} days"
    shut = [
        c
        for c in closure_occurrences(calendar, start, max(end, start + timedelta(seconds=1)))
        if c.shuts(priority, scope) and c.kind not in ignoring
    ]
    for closure in shut:
        yield Reason(
            closure.kind,
            f"{priority} on {say_day(max(start, closure.start))} is inside {closure.name} until {say_until(closure.end)}; {after}.",
            rule=closure.name,
            until=closure.end,
            next_allowed_at=upcoming,
            override_roles=EXCEPTION_ROLES if closure.kind == "freeze" else (),
        )
    if shut:
        return
    if open_until is None:
        yield Reason(
            "outside_window",
            f"{priority} at {say_instant(start)} is outside every maintenance window; {after}.",
            rule="Maintenance windows",
            until=upcoming,
            next_allowed_at=upcoming,
        )
    else:
        minutes = int((end - start).total_seconds() // 60)
        yield Reason(
            "does_not_fit",
            f"The plan takes {minutes} min from {say_instant(start)}, but the window ends {say_until(open_until)}; {after}.",
            rule="Maintenance windows",
            until=open_until,
            next_allowed_at=upcoming,
        )


def next_transition(priority: str, at: datetime, calendar: Calendar, scope: frozenset[str] = frozenset()) -> datetime | None:
    """The next instant after `at` at which the answer for this priority changes; None if it does not within the horizon."""
    if priority == EMERGENCY:
        return None
    for opening, closing in open_stretches(priority, at, at + HORIZON, calendar, scope):
        return closing if opening <= at else opening
    return None


def window_at(calendar: Calendar, start: datetime, end: datetime) -> Occurrence | None:
    """The window occurrence that a slot belongs to: the one that holds its start and reaches furthest."""
    holding = [o for o in window_occurrences(calendar, start, max(end, start + timedelta(seconds=1))) if o.start <= start < o.end]
    return max(holding, key=lambda occurrence: occurrence.end) if holding else None
