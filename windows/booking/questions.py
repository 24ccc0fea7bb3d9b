"""The questions to the calendar: may it be booked, may it begin, may it go on, and when is there a
free start.

Form, page, card, slots, move, API, gate, scheduler and worker ask here and nowhere else, so that
they can never disagree. What may be looked past is settled here: who books looks past a lockdown,
whose end nobody knows (ADR 9); who begins does not. A granted freeze exception counts for its own
slot (A6). Conflicts are told apart from the calendar, for the change manager may override them
(A27).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

from django.utils import timezone

from accounts.models import User
from language.refusal import Reason
from language.say import say_instant, say_length, say_span, say_until
from requests.apart import hands_in
from requests.dependencies import REMEDY, ended_otherwise
from requests.models import ChangeRequest
from requests.states import State
from windows.booking.slots import (
    AROUND,
    BOOKED,
    SEARCH,
    Plan,
    Taken,
    conflicts,
    named,
    scope_of,
    taken_between,
    whole_minute,
)
from windows.calendar.verdict import (
    BLACKOUT,
    FREEZE,
    HORIZON,
    LOCKDOWN,
    Calendar,
    Span,
    Verdict,
    closures_over,
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
    against = tuple(_conflicts(start, around))
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


# --- when is there a free start? ------------------------------------------------------------------


def free_slots(
    change: ChangeRequest,
    *,
    after: datetime,
    limit: int,
    actor: User | None = None,
    calendar: Calendar | None = None,
    needs: Sequence[ChangeRequest] | None = None,
) -> tuple[list[datetime], list[Reason]]:
    """The earliest starts after `after`, and after now, that fit calendar, plan and other bookings;
    if none within 90 days, why.
    """
    plan = Plan.of(change)
    after = plan.earliest(max(after, timezone.now()))
    around = Around(
        plan, after - AROUND, after + SEARCH, reader=actor, calendar=calendar, needs=needs
    )
    starts, why = fitting(after, limit, around)
    if excepted := [
        start
        for start in excepted_starts(change, after)
        if may_be_booked(plan, start, around).allowed
    ]:
        return sorted({*starts, *excepted})[:limit], []
    return starts, why


def _conflicts(start: datetime, around: Around) -> list[Reason]:
    return conflicts(
        around.plan,
        start,
        around.calendar,
        around.taken,
        around.needs,
        around.reader,
        around.needed_by,
    )


def fitting(after: datetime, limit: int, around: Around) -> tuple[list[datetime], list[Reason]]:
    """Up to `limit` starts of the plan within 90 days after `after`, one per open stretch; if none,
    why.
    """
    plan = around.plan
    if plan.is_emergency:
        return [whole_minute(after)], []  # any time, once authorised (R74)
    found: list[datetime] = []
    in_the_way: list[Reason] = []
    for opening, closing in bookable_stretches(
        plan.priority, plan.scope, after, after + SEARCH, around.calendar
    ):
        for start in _starts_within(max(opening, after), closing - plan.length, around.taken):
            against = _conflicts(start, around) or around.own_opening(start)
            if not against:
                found.append(start)
                break  # one proposal per stretch: the earliest
            in_the_way = in_the_way or against
        if len(found) >= limit:
            break
    return found, [] if found else in_the_way or why_none(plan, after, around.calendar)


def excepted_starts(change: ChangeRequest, after: datetime) -> list[datetime]:
    """The slots within 90 days that a freeze exception was granted for in this round (A6)."""
    if change.is_emergency or change.state not in (
        State.IN_REVIEW,
        State.APPROVED,
        State.SCHEDULED,
    ):
        return []
    granted = change.freeze_exceptions.filter(
        slot_start__range=(after, after + SEARCH), round=change.round, declined_at=None
    )
    return list(
        granted.filter(cto__isnull=False, change_manager__isnull=False).values_list(
            "slot_start", flat=True
        )
    )


def why_none(plan: Plan, after: datetime, calendar: Calendar) -> list[Reason]:
    """No stretch of 90 days is long enough, or none is open at all: which of the two, and what
    could be done.
    """
    stretches = list(bookable_stretches(plan.priority, plan.scope, after, after + SEARCH, calendar))
    if not stretches:
        return list(
            booking_verdict(plan.priority, plan.scope, after, after + plan.length, calendar).reasons
        )
    begin, stop = max(stretches, key=lambda stretch: stretch[1] - stretch[0])
    longest = (
        f"the longest window within {SEARCH.days} days has {say_length(stop - begin)}"
        f" ({say_span(begin, stop)})"
    )
    text = (
        f"The plan takes {say_length(plan.length)}, and {longest}. Split it, shorten it, or ask for"
        " a longer window."
    )
    return [Reason("no_fit", text, rule="Maintenance windows")]


def _starts_within(begin: datetime, latest: datetime, taken: Sequence[Taken]) -> list[datetime]:
    """The starts worth trying in a stretch: its beginning, and the end of each slot in it."""
    ends = {whole_minute(slot.end) for slot in taken if slot.end is not None}
    return sorted(start for start in {begin, *ends} if begin <= start <= latest)


# --- may it begin? --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Beginning:
    """What a start at one instant is judged by: the booked change, the calendar, what others run or
    have booked, and what it needs.
    """

    change: ChangeRequest
    at: datetime
    calendar: Calendar
    taken: Sequence[Taken]
    needs: Sequence[ChangeRequest]
    reader: User | None = None


def may_begin(asked: Beginning) -> list[Reason]:
    """What calendar, slot and neighbours have against a start at that instant (A25, promise 2). A
    P0 begins at any time (R74).
    """
    if asked.change.is_emergency:
        return []
    return [*_slot_refusal(asked), *_dependency_refusal(asked), *_component_refusal(asked)]


def begin_verdict(
    change: ChangeRequest, at: datetime, calendar: Calendar, then: datetime | None = None
) -> Verdict:
    """The calendar's verdict on the plan from that instant: a lockdown counts, an exception granted
    to its slot too (A6).
    """
    scope, end = scope_of(change), at + change.plan_length
    verdict = decide(change.priority, at, end, calendar, scope, then=then)
    if any(reason.code == FREEZE for reason in verdict.reasons) and (
        lifted := lifted_for(change, change.slot_start)
    ):
        return excepted(
            verdict, decide(change.priority, at, end, calendar.lifting(lifted), scope, then=then)
        )
    return verdict


def begins_by_opening(change: ChangeRequest, at: datetime, calendar: Calendar) -> bool:
    """Whether it may begin then only because of a one-off opening; the report names those."""
    if change.is_emergency or all(window.rule for window in calendar.windows):
        return False
    return not begin_verdict(change, at, calendar.without_openings()).allowed


def begins_by_exception(change: ChangeRequest, at: datetime, calendar: Calendar) -> bool:
    """Whether it may begin then only because of a freeze exception (A6)."""
    strict = decide(change.priority, at, at + change.plan_length, calendar, scope_of(change))
    return any(reason.code == FREEZE for reason in strict.reasons)


def _slot_refusal(asked: Beginning) -> list[Reason]:
    change, at, opens = asked.change, asked.at, asked.change.slot_start
    assert opens is not None
    end = change.window_end or change.slot_end
    if end is not None and at >= end:
        return [
            Reason(
                "slot_missed",
                f"Its slot passed unused: the window ended {say_until(end)}. Book another.",
                rule="Slot",
                until=end,
            )
        ]
    if at >= opens:
        verdict = begin_verdict(change, at, asked.calendar)
        return [_rebooked(reason) for reason in verdict.reasons]
    verdict = begin_verdict(change, at, asked.calendar, then=opens)
    if verdict.allowed or opens - at <= NOTICE:
        text = f"Its slot opens {say_instant(opens)}, in {say_length(opens - at)}."
        return [
            Reason(
                "too_early",
                text,
                rule=change.window_name or "Slot",
                until=opens,
                next_allowed_at=opens,
            )
        ]
    return list(verdict.reasons)


def _rebooked(reason: Reason) -> Reason:
    """Of a slot that has begun: a later start is another slot's."""
    return (
        replace(reason, message=f"{reason.message} That start takes another slot.")
        if reason.next_allowed_at
        else reason
    )


def _dependency_refusal(asked: Beginning) -> list[Reason]:
    return [
        Reason(
            "dependency",
            f"It needs {named(needed, asked.reader)}{_unmet(needed)}",
            rule="Dependency",
        )
        for needed in asked.needs
        if not needed.is_done
    ]


def _unmet(needed: ChangeRequest) -> str:
    how = ended_otherwise(needed)
    return f", which {how}. {REMEDY}" if how else " to be completed first."


def _component_refusal(asked: Beginning) -> list[Reason]:
    """Nothing else may run on our components or those that they depend on, nor be booked on ours
    before the plan is through.
    """
    found = [
        Reason(
            "component_busy",
            f"Component busy: {named(slot.change, asked.reader)} is running on"
            f" {', '.join(sorted(slot.same | slot.needed))}.",
            rule="Component busy",
        )
        for slot in running_beside(asked.taken)
    ]
    ours_ends = (
        asked.change.slot_end or asked.at
    )  # whoever begins before that does so by the change manager's override
    for slot in asked.taken:
        if (
            slot.same
            and slot.start is not None
            and slot.change.state == State.SCHEDULED
            and slot.start >= ours_ends
        ):
            text = (
                f"Next booking: {named(slot.change, asked.reader)} on"
                f" {', '.join(sorted(slot.same))} from {say_until(slot.start)}; the plan no longer"
                " fits before it."
            )
            found.append(Reason("does_not_fit", text, rule="Next booking", until=slot.end))
    return found


def running_beside(taken: Sequence[Taken]) -> list[Taken]:
    """Running changes on our components or on those that ours depend on."""
    return [slot for slot in taken if slot.is_running and slot.same | slot.needed]


# --- may it go on? --------------------------------------------------------------------------------


def run_ends(change: ChangeRequest) -> datetime | None:
    """Until when a run may be at work: its window's end, or its slot's where that was extended; a
    P0 needs neither (R74).
    """
    return (
        None
        if change.is_emergency
        else max((end for end in (change.window_end, change.slot_end) if end), default=None)
    )


def may_go_on(change: ChangeRequest, at: datetime, calendar: Calendar) -> list[Reason]:
    """What stands against being at work at that instant: a lockdown stops all but an emergency, and
    the window ends.
    """
    if change.is_emergency:
        return []
    if held := closures_over(change.priority, at, at, calendar, {LOCKDOWN}, scope_of(change)):
        return held
    end = run_ends(change)
    return (
        [Reason("window_over", f"Its window ended {say_until(end)}.", until=end)]
        if end and at >= end
        else []
    )


def locked_out(priority: str, scope: frozenset[str]) -> list[Reason]:
    """The lockdowns that hold such a change now: it may be booked, and begins only when they are
    lifted (ADR 9).
    """
    now = timezone.now()
    return closures_over(priority, now, now, current_calendar(), {LOCKDOWN}, scope)


def may_be_extended(change: ChangeRequest, until: datetime, calendar: Calendar) -> list[Reason]:
    """What stands against a running slot's ending later: never into a freeze or blackout (A25)."""
    assert change.slot_end is not None
    return closures_over(
        change.priority, change.slot_end, until, calendar, {FREEZE, BLACKOUT}, scope_of(change)
    )
