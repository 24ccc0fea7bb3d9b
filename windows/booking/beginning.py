"""May a booked change begin now, and may a running one go on? Asked under lock by the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.utils import timezone

from accounts.models import User
from language.refusal import Reason
from language.say import say_instant, say_length, say_until
from requests.dependencies import REMEDY, ended_otherwise
from requests.models import ChangeRequest
from requests.states import State
from windows.booking.questions import NOTICE
from windows.booking.slots import (
    Taken,
    named,
    scope_of,
)
from windows.calendar.verdict import (
    BLACKOUT,
    FREEZE,
    LOCKDOWN,
    Calendar,
    Verdict,
    closures_over,
    decide,
    excepted,
)
from windows.models import current_calendar, lifted_for


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
