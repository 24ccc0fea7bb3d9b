"""The calendar verdict: pure functions over values. No queries, no clock.

`decide` is the only place where windows, freezes, blackouts and lockdowns are judged (R72-R77).
Form, page, API, gate, scheduler, worker and `start` all ask it. Deny beats allow. Instants are
aware and in UTC; intervals are half-open, `[start, end)`.

A change may work where each of its components may: a component in every window that is for it, or
for all, and outside every closure that is for it, or for all. Windows that touch or overlap are
one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from language.refusal import Reason
from language.say import say_day, say_instant, say_until
from windows.calendar.recurrence import EMERGENCY, PLANNED, Closure, Day, Occurrence, Rule, Window

__all__ = ["EMERGENCY", "PLANNED", "Closure", "Day", "Occurrence", "Window"]
HORIZON = timedelta(days=400)
EXCEPTION_ROLES = ("cto", "change-manager")
FREEZE, BLACKOUT, LOCKDOWN = "freeze", "blackout", "lockdown"
Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Calendar:
    """The rules that count: windows that open, closures that shut."""

    windows: tuple[Window, ...] = ()
    closures: tuple[Closure, ...] = ()

    @classmethod
    def of(cls, rules: Iterable[Rule]) -> Calendar:
        found = list(rules)
        return cls(
            tuple(rule for rule in found if isinstance(rule, Window)),
            tuple(rule for rule in found if isinstance(rule, Closure)),
        )

    @property
    def rules(self) -> tuple[Rule, ...]:
        return (*self.windows, *self.closures)

    def without_openings(self) -> Calendar:
        """The same without what opens once."""
        return Calendar(tuple(window for window in self.windows if window.rule), self.closures)

    def lifting(self, keys: Collection[int]) -> Calendar:
        """The same without the freezes of these first keys; one that has been edited into a
        blackout stays (A6).
        """
        return Calendar(
            self.windows, tuple(c for c in self.closures if c.kind != FREEZE or c.key not in keys)
        )

    @property
    def named_components(self) -> frozenset[str]:
        """Components that some rule names; all others are alike."""
        return frozenset().union(*(rule.scope for rule in self.rules))


@dataclass(frozen=True)
class Verdict:
    """`allowed` for the whole interval asked; else why not, when next, and if now is open, until
    when (None: beyond the horizon).
    """

    allowed: bool
    reasons: tuple[Reason, ...] = ()
    next_allowed_start: datetime | None = None
    open_until: datetime | None = None


def window_occurrences(calendar: Calendar, start: datetime, end: datetime) -> list[Occurrence]:
    """Every window occurrence that overlaps `[start, end)`, also those that a freeze shuts, by
    start.
    """
    return sorted(found for window in calendar.windows for found in window.occurrences(start, end))


def closure_occurrences(calendar: Calendar, start: datetime, end: datetime) -> list[Occurrence]:
    """Every freeze, blackout and lockdown that overlaps `[start, end)`, by start."""
    return sorted(
        found for closure in calendar.closures for found in closure.occurrences(start, end)
    )


def closed_time(
    priority: str,
    scope: frozenset[str],
    start: datetime,
    end: datetime,
    closures: Sequence[Occurrence],
) -> timedelta:
    """How much of `[start, end)` lay in these closures for the priority; overlaps count once."""
    shut = united((c.start, c.end) for c in closures if c.shuts(priority, scope))
    return sum(
        (max(timedelta(0), min(end, stop) - max(start, begin)) for begin, stop in shut),
        timedelta(0),
    )


# --- spans of time --------------------------------------------------------------------------------


def united(spans: Iterable[Span]) -> list[Span]:
    """The same time as spans that neither overlap nor touch, in order."""
    merged: list[Span] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((begin, end))
    return merged


def common(one: Sequence[Span], other: Sequence[Span]) -> list[Span]:
    """The time in both; each is united already."""
    found = []
    left, right = iter(one), iter(other)
    a, b = next(left, None), next(right, None)
    while a and b:
        begin, end = max(a[0], b[0]), min(a[1], b[1])
        if begin < end:
            found.append((begin, end))
        if a[1] <= b[1]:
            a = next(left, None)
        else:
            b = next(right, None)
    return found


def without(spans: Iterable[Span], taken: Sequence[Span]) -> Iterator[Span]:
    """The time of `spans` outside of `taken`; both are united already."""
    first = 0
    for begin, end in spans:
        while first < len(taken) and taken[first][1] <= begin:
            first += 1
        index = first
        while index < len(taken) and taken[index][0] < end:
            if taken[index][0] > begin:
                yield begin, taken[index][0]
            begin = max(begin, taken[index][1])
            index += 1
        if begin < end:
            yield begin, end


# --- the verdict ----------------------------------------------------------------------------------


def open_stretches(
    priority: str,
    start: datetime,
    end: datetime,
    calendar: Calendar,
    scope: frozenset[str] = frozenset(),
    ignoring: frozenset[str] = frozenset(),
) -> Iterator[Span]:
    """The stretches within `[start, end)` in which the priority may work on all of these
    components, in order and united.

    No scope: a component that no rule names. `ignoring` names kinds of closure that do not count,
    like the lockdown for whoever asks about a time after it.
    """
    reached: Span | None = None
    for begin, stop in _pieces(start, end):
        for opening, closing in _open_within(priority, begin, stop, calendar, scope, ignoring):
            if reached and opening <= reached[1]:
                reached = (reached[0], closing)
                continue
            if reached:
                yield reached
            reached = (opening, closing)
        if reached and reached[1] < stop:
            yield reached
            reached = None
    if reached:
        yield reached


def _pieces(start: datetime, end: datetime) -> Iterator[Span]:
    """The time in pieces that grow: the next window is mostly near, and a year is looked at only
    when it must be.
    """
    length = timedelta(days=16)
    while start < end:
        stop = min(end, start + length)
        yield start, stop
        start, length = stop, length * 2


def _open_within(
    priority: str,
    start: datetime,
    end: datetime,
    calendar: Calendar,
    scope: frozenset[str],
    ignoring: frozenset[str],
) -> Iterator[Span]:
    windows = [w for w in calendar.windows if priority in w.priorities]
    # Components that the same windows name have the same time; each kind of component is looked at
    # once.
    named = {
        tuple(w for w in windows if w.opens(priority, component)) for component in scope or [None]
    }
    spans: list[Span] | None = None
    for group in named:
        open_to = united(
            (max(o.start, start), min(o.end, end))
            for window in group
            for o in window.occurrences(start, end)
        )
        spans = open_to if spans is None else common(spans, open_to)
    shut = united(
        (c.start, c.end) for c in _shutting(priority, start, end, calendar, scope, ignoring)
    )
    return without(spans or [], shut)


def _shutting(
    priority: str,
    start: datetime,
    end: datetime,
    calendar: Calendar,
    scope: frozenset[str],
    ignoring: frozenset[str],
) -> list[Occurrence]:
    closures = [c for c in calendar.closures if c.kind not in ignoring and c.shuts(priority, scope)]
    return sorted(found for closure in closures for found in closure.occurrences(start, end))


def decide(
    priority: str,
    start: datetime,
    end: datetime,
    calendar: Calendar,
    scope: frozenset[str] = frozenset(),
    ignoring: frozenset[str] = frozenset(),
    then: datetime | None = None,
) -> Verdict:
    """Whether a change of that priority on those components may work from `start` to `end`
    (R72-R77, A5-A7).

    `end` may equal `start`: the question is then about the instant. P0 may at any time (R74). Every
    refusal names the rule, when it ends, the next start that would be accepted for the same length,
    and who may override. `then`: the next start that is told instead, for a change that has a slot
    ahead.
    """
    if priority == EMERGENCY:
        return Verdict(True, (), start, None)
    length, horizon = end - start, start + HORIZON
    allowed, upcoming, open_until = False, None, None
    for opening, closing in open_stretches(priority, start, horizon, calendar, scope, ignoring):
        if opening <= start:
            open_until = closing
            allowed = end <= closing
        if opening + length <= closing:
            upcoming = opening
            break
    if allowed:
        return Verdict(True, (), start, open_until if open_until != horizon else None)
    upcoming = then or upcoming
    reasons = tuple(_reasons(priority, start, end, calendar, scope, ignoring, open_until, upcoming))
    return Verdict(False, reasons, upcoming, open_until)


def closures_over(
    priority: str,
    start: datetime,
    end: datetime,
    calendar: Calendar,
    kinds: Collection[str],
    scope: frozenset[str] = frozenset(),
) -> list[Reason]:
    """What of these kinds shuts any part of `[start, end)` for work that is under way: named,
    without a next start.
    """
    ignoring = frozenset({FREEZE, BLACKOUT, LOCKDOWN}) - frozenset(kinds)
    shut = _shutting(
        priority, start, max(end, start + timedelta(seconds=1)), calendar, scope, ignoring
    )
    return [_closed(priority, start, closure) for closure in shut]


def excepted(strict: Verdict, lifted: Verdict) -> Verdict:
    """The verdict on a slot with a granted exception (A6), from those without it and with it.

    The exception is for that slot alone: where something else shuts it, the next start is one that
    needs none.
    """
    rules = {reason.rule for reason in lifted.reasons}
    return (
        lifted
        if lifted.allowed
        else replace(
            strict, reasons=tuple(r for r in strict.reasons if r.rule in rules) or strict.reasons
        )
    )


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
    after = (
        f"next: {say_instant(upcoming)}"
        if upcoming
        else f"no start fits within {HORIZON.days} days"
    )
    least = max(end, start + timedelta(seconds=1))
    shut = _shutting(priority, start, least, calendar, scope, ignoring)
    for closure in shut:
        then = "" if closure.is_open_ended and upcoming is None else f"; {after}"
        yield _closed(priority, start, closure, then, upcoming)
    if shut:
        return
    at, rule = say_instant(start), "Maintenance windows"
    if open_until is None:
        said = f"{priority} at {at} is outside every maintenance window; {after}."
        yield Reason("outside_window", said, rule=rule, until=upcoming, next_allowed_at=upcoming)
    else:
        minutes = int((end - start).total_seconds() // 60)
        ends = say_until(open_until)
        said = f"The plan takes {minutes} min from {at}, but the window ends {ends}; {after}."
        yield Reason("does_not_fit", said, rule=rule, until=open_until, next_allowed_at=upcoming)


def _closed(
    priority: str,
    start: datetime,
    closure: Occurrence,
    after: str = "",
    upcoming: datetime | None = None,
) -> Reason:
    ending = "until it is lifted" if closure.is_open_ended else f"until {say_until(closure.end)}"
    return Reason(
        closure.kind,
        f"{priority} on {say_day(max(start, closure.start))} is inside {closure.name}"
        f" {ending}{after}.",
        rule=closure.name,
        until=None if closure.is_open_ended else closure.end,
        next_allowed_at=upcoming,
        override_roles=EXCEPTION_ROLES if closure.kind == FREEZE else (),
    )


def next_transition(
    priority: str, at: datetime, calendar: Calendar, scope: frozenset[str] = frozenset()
) -> datetime | None:
    """The next instant after `at` at which the answer for this priority changes; None if it does
    not within the horizon.
    """
    if priority == EMERGENCY:
        return None
    for opening, closing in open_stretches(priority, at, at + HORIZON, calendar, scope):
        if opening > at:
            return opening
        return closing if closing < at + HORIZON else None
    return None


def window_at(
    calendar: Calendar,
    start: datetime,
    end: datetime,
    priority: str = "",
    scope: frozenset[str] = frozenset(),
) -> Occurrence | None:
    """The window occurrence that a slot belongs to: of those that hold its start and admit it the
    one that reaches furthest.

    No priority: of all that hold the start.
    """
    holding = [
        o
        for o in window_occurrences(calendar, start, max(end, start + timedelta(seconds=1)))
        if o.start <= start < o.end
    ]
    if priority and priority != EMERGENCY:
        holding = [
            o
            for o in holding
            if any(o.admits(priority, component) for component in scope or [None])
        ]
    return max(holding, key=lambda occurrence: occurrence.end) if holding else None
