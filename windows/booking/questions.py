"""The questions to the calendar: may it be booked here; beside it may it begin or go on
(`beginning`), and when is there a free start (`free_starts`).

Form, page, card, slots, move, API, gate, scheduler and worker ask here and nowhere else, so that
they can never disagree. What may be looked past is settled here: who books looks past a lockdown,
whose end nobody knows (ADR 9); who begins does not. A granted freeze exception counts for its own
slot (A6). Conflicts are told apart from the calendar, for the change manager may override them
(A27).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from django.utils import timezone

from accounts.models import User
from language.refusal import Reason
from language.say import say_instant
from requests.apart import hands_in
from requests.models import ChangeRequest
from windows.booking.slots import (
    AROUND,
    BOOKED,
    SEARCH,
    Plan,
    Taken,
    conflicts,
    taken_between,
)
from windows.calendar.verdict import (
    BLACKOUT,
    FREEZE,
    HORIZON,
    LOCKDOWN,
    Calendar,
    Span,
    Verdict,
    decide,
    excepted,
    open_stretches,
    window_occurrences,
)
from windows.models import current_calendar, lifted_for, openers

NOTICE = timedelta(hours=24)  # A12
#: Who books looks past a lockdown: its end is not known, bookings are kept meanwhile, and
#: `may_begin` asks again.
LOOKING_AHEAD = frozenset({LOCKDOWN})


# --- the calendar as bookings see it --------------------------------------------------------------


def booking_verdict(
    priority: str,
    scope: frozenset[str],
    start: datetime,
    end: datetime,
    calendar: Calendar,
    lifted: frozenset[int] = frozenset(),
) -> Verdict:
    """The calendar's verdict on a slot; `lifted` are the first keys of freezes that an exception
    lifts for it.
    """
    strict = decide(priority, start, end, calendar, scope, LOOKING_AHEAD)
    if not lifted:
        return strict
    return excepted(
        strict, decide(priority, start, end, calendar.lifting(lifted), scope, LOOKING_AHEAD)
    )


def bookable_stretches(
    priority: str, scope: frozenset[str], start: datetime, end: datetime, calendar: Calendar
) -> Iterator[Span]:
    """The stretches within `[start, end)` in which slots of that priority may lie."""
    return open_stretches(priority, start, end, calendar, scope, LOOKING_AHEAD)


#: code of a calendar's refusal → what its asker may ask the change managers for; a closure is
#: opened by neither
REMEDIES = {"no_fit": "longer", "does_not_fit": "longer", "outside_window": "opening"}


def remedy(reasons: Iterable[Reason]) -> str:
    """`longer` (a longer window), `opening` (a one-off one) or nothing: what would help against
    these reasons.
    """
    return next((REMEDIES[reason.code] for reason in reasons if reason.code in REMEDIES), "")


def is_frozen(verdict: Verdict) -> bool:
    """Whether code freezes alone stand in the way: what an exception may lift (A6)."""
    return {reason.code for reason in verdict.reasons} == {FREEZE}


# --- may it be booked? ----------------------------------------------------------------------------


class Around:
    """What is read once for all starts of a span: the calendar, others' slots, and what the plan
    needs. `reader`: whom reasons are told.
    """

    def __init__(
        self,
        plan: Plan,
        start: datetime,
        end: datetime,
        *,
        reader: User | None = None,
        calendar: Calendar | None = None,
        taken: Sequence[Taken] | None = None,
        needs: Sequence[ChangeRequest] | None = None,
    ) -> None:
        self.plan, self.start, self.end, self.reader = plan, start, end, reader
        self._calendar, self._taken, self._needs = calendar, taken, needs

    @classmethod
    def slot(
        cls,
        plan: Plan,
        start: datetime,
        *,
        reader: User | None = None,
        calendar: Calendar | None = None,
    ) -> Around:
        """For one start and, where that is refused, for the time in which others are looked for."""
        return cls(plan, start - AROUND, start + SEARCH + AROUND, reader=reader, calendar=calendar)

    def covers(self, start: datetime) -> bool:
        """Whether what is read tells all about a slot that begins then."""
        return self.start + AROUND <= start <= self.end - AROUND

    @cached_property
    def calendar(self) -> Calendar:
        return self._calendar or current_calendar()

    @cached_property
    def taken(self) -> Sequence[Taken]:
        return (
            self._taken
            if self._taken is not None
            else taken_between(self.plan, self.start, self.end)
        )

    def own_opening(self, start: datetime) -> list[Reason]:
        """That the plan's own people made the one-off opening that a slot from then would lie in
        (A37).
        """
        change = self.plan.change
        openings = (
            openings_of(self.plan, start, start + self.plan.length, self.calendar)
            if change and self.plan.key
            else ()
        )
        return _apart_refusal(change, openings) if openings and change else []

    @cached_property
    def needs(self) -> Sequence[ChangeRequest]:
        if self._needs is not None:
            return self._needs
        change = self.plan.change
        return list(change.depends_on.all()) if change and change.pk and change.dependencies else []

    @cached_property
    def needed_by(self) -> Sequence[ChangeRequest]:
        """Booked changes that wait for the plan's; nobody books behind what has no slot yet."""
        change = self.plan.change
        if not change or not change.pk or not (change.slot_start or change.hold_start):
            return []
        return list(change.needed_by.filter(state__in=BOOKED).order_by("slot_start", "pk"))


@dataclass(frozen=True)
class Bookable:
    """What stands against a slot: that it is no time to choose at all, the calendar, that its own
    people opened it, other changes.

    Nothing: it may be booked. `openings` are the first keys of the one-off openings that it lies
    in, wholly or partly.
    """

    start: datetime
    end: datetime
    verdict: Verdict
    untimely: tuple[Reason, ...] = ()
    apart: tuple[Reason, ...] = ()
    conflicts: tuple[Reason, ...] = ()
    openings: tuple[int, ...] = ()
    emergency: bool = False
    canary: bool = False

    @property
    def allowed(self) -> bool:
        return not self.reasons

    @property
    def reasons(self) -> tuple[Reason, ...]:
        return (*self.untimely, *self.verdict.reasons, *self.apart, *self.conflicts)

    @property
    def word(self) -> str:
        """`open`, or what is first in the way: `untimely`, `shut`, `taken`."""
        if self.allowed:
            return "open"
        return (
            "untimely"
            if self.untimely
            else "shut"
            if not self.verdict.allowed or self.apart
            else "taken"
        )

    @property
    def length(self) -> timedelta:
        return self.end - self.start

    @property
    def is_closed(self) -> bool:
        """Whether a freeze or blackout shuts it."""
        return any(reason.code in (FREEZE, BLACKOUT) for reason in self.verdict.reasons)

    @property
    def is_frozen(self) -> bool:
        return not self.untimely and is_frozen(self.verdict)

    @property
    def remedy(self) -> str:
        return "" if self.untimely else remedy(self.verdict.reasons)


def may_be_booked(
    plan: Plan, start: datetime, around: Around | None = None, end: datetime | None = None
) -> Bookable:
    """Whether the plan may have the slot that begins at `start` (R72-R77, A5-A7, A25). A P0 needs
    none: it may start at any time (R74).
    """
    around = around or Around(plan, start - AROUND, start + AROUND)
    end = end or start + plan.length
    untimely = tuple(untimely_refusal(plan, start))
    if plan.is_emergency:
        return Bookable(start, end, Verdict(True, (), start, None), untimely, emergency=True)
    verdict = slot_verdict(plan, start, around.calendar, end)
    against = tuple(conflicts_at(start, around))
    openings = openings_of(plan, start, end, around.calendar)
    apart = tuple(around.own_opening(start)) if openings else ()
    return Bookable(start, end, verdict, untimely, apart, against, openings, canary=plan.canary)


def openings_of(plan: Plan, start: datetime, end: datetime, calendar: Calendar) -> tuple[int, ...]:
    """First keys of the one-off openings that serve the slot: it lies in them, wholly or partly
    (A37).
    """
    once = Calendar(tuple(window for window in calendar.windows if window.is_once))
    found = window_occurrences(once, start, end) if once.windows else []
    scope = plan.scope or frozenset({""})
    return tuple(
        sorted(
            {
                o.rule.key
                for o in found
                if any(o.admits(plan.priority, component or None) for component in scope)
            }
        )
    )


def _apart_refusal(change: ChangeRequest, openings: tuple[int, ...]) -> list[Reason]:
    """Nobody opens a window for a change that they requested, edited or implement (A37)."""
    own = set(openers(openings)) & hands_in(change)
    if not own:
        return []
    text = (
        "Whoever requested, edited or implements this change made or confirmed the one-off opening;"
        " others must open it."
    )
    return [Reason("own_opening", text, rule="One-off opening")]


def slot_verdict(
    plan: Plan, start: datetime, calendar: Calendar, end: datetime | None = None
) -> Verdict:
    """The calendar's verdict alone on the plan's slot at `start`; a granted exception counts for
    the slot it was granted for (A6).
    """
    end = end or start + plan.length
    verdict = booking_verdict(plan.priority, plan.scope, start, end, calendar)
    if plan.key and plan.change and any(reason.code == FREEZE for reason in verdict.reasons):
        return booking_verdict(
            plan.priority, plan.scope, start, end, calendar, lifted_for(plan.change, start)
        )
    return verdict


def untimely_refusal(plan: Plan, start: datetime) -> list[Reason]:
    """A start that has passed, lies before the requested date (a lower bound, A7), or further ahead
    than the calendar is looked at.
    """
    now = timezone.now()
    if start < now.replace(second=0, microsecond=0):
        return [Reason("passed", f"{say_instant(start)} has passed; choose a later one.")]
    until = plan.change.authorised_until if plan.change and plan.is_emergency else None
    if until and start >= until:
        return [
            Reason(
                "beyond_authorisation",
                f"its authorisation holds until {say_instant(until)}; choose an earlier one.",
            )
        ]
    if plan.from_day and start.date() < plan.from_day and not plan.is_emergency:
        text = f"the requested date {plan.from_day} is the earliest; choose that day or later."
        return [Reason("before_requested_date", text)]
    if start - now > HORIZON:
        text = (
            f"choose one within {HORIZON.days} days; the calendar is not looked at further ahead."
        )
        return [Reason("beyond_horizon", text)]
    return []


def needs_notice(priority: str, start: datetime) -> bool:
    """Whether a slot that begins then is short of its 24 hours of notice (A12); a P0 is exempt."""
    return priority != "P0" and start - timezone.now() < NOTICE


def conflicts_at(start: datetime, around: Around) -> list[Reason]:
    """What else is on its components then, or needs it, or is needed by it."""
    return conflicts(
        around.plan,
        start,
        around.calendar,
        around.taken,
        around.needs,
        around.reader,
        around.needed_by,
    )
