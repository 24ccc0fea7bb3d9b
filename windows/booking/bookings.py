"""Booking: `schedule`, `unschedule`, and what happens by itself on approval (A7)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import User
from accounts.roles import Role
from audit import trail
from language import reading
from language.refusal import Blocked, Invalid, NotYours, Reason, raise_refusal, refuse_if
from language.say import say_instant, say_span
from notifications import outbox
from requests import access, apart, lifecycle
from requests.models import ChangeRequest
from requests.states import State
from windows.booking import holds, locks
from windows.booking.calendar_entries import follow_slot
from windows.booking.free_starts import free_slots
from windows.booking.questions import NOTICE, Around, may_be_booked, needs_notice, untimely_refusal
from windows.booking.slots import AROUND, Plan, scope_of
from windows.calendar.recurrence import Occurrence
from windows.calendar.verdict import window_at
from windows.models import Booking, current_calendar, openers

PROPOSALS = 5
MISSED_BEFORE_HANDING_OVER = 2  # A7


def bookers_refusal(change: ChangeRequest, actor: User, what: str) -> list[Reason]:
    """The slot of a change is for its requester, the DevOps roles and the change manager."""
    if actor == change.requester or actor.is_devops or actor.has_role(Role.CHANGE_MANAGER):
        return []
    return [Reason("not_yours", f"The requester, a DevOps role or the change manager {what}.")]


def schedule_refusal(change: ChangeRequest, actor: User) -> list[Reason]:
    """Why this person may not book this change now, the slot apart."""
    refusal = bookers_refusal(change, actor, "books the slot")
    return refusal or lifecycle.state_refusal(
        change, "reschedule" if change.state == State.SCHEDULED else "schedule"
    )


def unschedule_refusal(change: ChangeRequest, actor: User) -> list[Reason]:
    """Why this person cannot give its slot up."""
    return bookers_refusal(change, actor, "gives up the slot") or lifecycle.state_refusal(
        change, "unschedule"
    )


@transaction.atomic
def schedule(
    *,
    actor: User,
    number: str,
    start: datetime,
    short_notice_reason: str = "",
    override_reason: str = "",
) -> ChangeRequest:
    """Book the change's plan at `start`, or move it there (A7, A12, A25).

    Raises NotYours, Blocked (state, calendar, fit, conflict) and Invalid (a start that has passed,
    a missing short-notice reason).
    """
    change = access.change_to_write(actor, number)
    raise_refusal(schedule_refusal(change, actor))
    start = checked_start(change, start, "start", "Start")
    short_notice_reason = reading.said(
        "short_notice_reason", short_notice_reason, "Short-notice reason"
    )
    override_reason = reading.said("override_reason", override_reason, "Override reason")
    if override_reason:
        refuse_if(override_refusal(change, actor), NotYours)
    book(
        change,
        start,
        actor=actor,
        short_notice_reason=short_notice_reason,
        override_reason=override_reason,
    )
    return change


def checked_start(change: ChangeRequest, start: datetime, field: str, what: str) -> datetime:
    """A start on its whole minute, not passed, not before the requested date, not beyond what is
    looked at; or Invalid at the field.
    """
    start = start.replace(second=0, microsecond=0)
    for reason in untimely_refusal(Plan.of(change), start):
        raise Invalid(fields={field: f"{what}: {reason.message}"})
    return start


def override_refusal(change: ChangeRequest, actor: User) -> list[Reason]:
    """Only the change manager overrides a conflict, and nobody for a change that they requested,
    edited or implement (A27).
    """
    if not actor.has_role(Role.CHANGE_MANAGER):
        return [Reason("not_yours", "Only the change manager overrides a conflict.")]
    return apart.hand_refusal(change, actor, "overrides")


def _put_into(
    change: ChangeRequest, start: datetime, end: datetime, window: Occurrence | None
) -> None:
    change.slot_start, change.slot_end = start, max(end, start + Booking.LEAST)
    change.window_name, change.window_start, change.window_end = (
        (window.name, window.start, window.end) if window else ("", None, None)
    )
    change.slot_told = 0


def book(
    change: ChangeRequest,
    start: datetime,
    *,
    actor: User | None,
    short_notice_reason: str = "",
    override_reason: str = "",
) -> None:
    """Put a locked change into a slot, or raise Blocked. The calendar is never overridden, a
    conflict only with a reason.
    """
    locks.calendar_stands()
    plan, calendar, end = Plan.of(change), current_calendar(), start + change.plan_length
    window = window_at(calendar, start, end, change.priority, scope_of(change))
    locks.book_window(window.start if window else start)
    around = Around(plan, start - AROUND, end + AROUND, reader=actor, calendar=calendar)
    asked = may_be_booked(plan, start, around)
    refuse_if([*asked.untimely, *asked.verdict.reasons, *asked.apart])
    against = list(asked.conflicts)
    if against and not override_reason:
        raise Blocked(against)
    is_short = needs_notice(change.priority, start)
    if is_short and not short_notice_reason:
        raise Invalid(fields={"short_notice_reason": f"Short-notice reason: {SAY_WHY}"})
    release(change)
    _put_into(change, start, end, window)
    _enter(change, exclusive=not (change.is_emergency or against))
    span = {"start": start.isoformat(), "end": end.isoformat()}
    facts: dict[str, Any] = {**span, "window": change.window_name}
    if is_short:
        facts["short_notice_reason"] = short_notice_reason
    if against:
        facts["override_reason"] = override_reason
        facts["overridden"] = [reason.code for reason in against]
    if opened := openers(asked.openings):
        facts["opened_by"] = opened
    name = "reschedule" if change.state == State.SCHEDULED else "schedule"
    lifecycle.perform(change, name, actor=actor, **facts)
    _tell_booked(change, actor)


SAY_WHY = "the slot is less than 24 hours away; say why it cannot wait."
TAKEN = "Somebody booked one of its components for that time a moment ago; look for the next slot."


def _enter(change: ChangeRequest, *, exclusive: bool) -> None:
    """A booking of each of its components for its slot; Blocked where somebody was first."""
    during = (change.slot_start, change.slot_end)
    rows = [
        Booking(change=change, component=component, during=during, exclusive=exclusive)
        for component in change.components.all()
    ]
    try:
        with transaction.atomic():
            Booking.objects.bulk_create(rows)
    except IntegrityError:
        raise Blocked([Reason("same_component", TAKEN)]) from None


def _tell_booked(change: ChangeRequest, actor: User | None) -> None:
    span = (
        say_span(change.slot_start, change.slot_end)
        if change.slot_start and change.slot_end
        else ""
    )
    people = [
        person for person in (change.requester, change.implementer) if person and person != actor
    ]
    outbox.tell(
        people,
        kind="booked",
        occasion=f"{change.slot_start} as of {timezone.now().isoformat()}",
        change=change,
        subject=f"{change.number} is booked: {span}",
        body=(
            f"“{change.summary}” is booked for"
            f" {span}{f', {change.window_name} window' if change.window_name else ''}."
        ),
    )


@transaction.atomic
def unschedule(*, actor: User, number: str, reason: str) -> ChangeRequest:
    """Give the slot back; the change stays approved."""
    change = access.change_to_write(actor, number)
    raise_refusal(unschedule_refusal(change, actor))
    reason = reading.said("reason", reason, "Reason", "say why the slot is given up.")
    slot = change.slot_start
    release(change)
    lifecycle.perform(
        change, "unschedule", actor=actor, reason=reason, slot=slot.isoformat() if slot else None
    )
    return change


def release(change: ChangeRequest, actor: User | None = None) -> None:
    """Free what the change had booked; that it is booked is not told any more."""
    Booking.objects.filter(change=change).delete()
    holds.clear(change)
    outbox.withdraw(change_id=change.pk, kind="booked")


def hold_for_run(change: ChangeRequest) -> None:
    """A run that begins takes the time of its whole plan from now: one that starts late holds its
    components for longer (A25).
    """
    now, length = timezone.now(), change.plan_length
    if change.slot_start is None:
        return
    if change.is_emergency and not length:
        release(change)
        change.clear_slot()
        return
    change.slot_start, change.slot_end = min(change.slot_start, now), now + length
    if change.is_emergency:
        change.window_name, change.window_start, change.window_end = "", None, None
    extend_booking(change)


def extend_booking(change: ChangeRequest) -> None:
    """Bring the booking's end in line with the slot's; Blocked when another change has the time
    after it.
    """
    try:
        with transaction.atomic():
            Booking.objects.filter(change=change).update(
                during=(change.slot_start, change.slot_end)
            )
            follow_slot(change)
    except IntegrityError:
        raise Blocked(
            [
                Reason(
                    "same_component",
                    "Another change is booked on one of its components right after its slot.",
                )
            ]
        ) from None


def _said_slot(change: ChangeRequest) -> str:
    if change.slot_start and change.slot_end:
        return say_span(change.slot_start, change.slot_end)
    return ""


def displace(change: ChangeRequest, *, kind: str, reason: str, due_at: datetime) -> None:
    """Take the slot away from a locked change because the clock or the calendar made it void, tell
    its people, and book a P3 again.

    `due_at` is when it became void: what is told much later is marked late.
    """
    was = _said_slot(change) or "its slot"
    missed = kind == "missed"
    slot = change.slot_start
    release(change)
    change.slots_missed += missed
    begun = slot.isoformat() if slot else None
    lifecycle.perform(change, "unschedule", actor=None, reason=reason, kind=kind, slot=begun)
    hand_over = missed and change.slots_missed >= MISSED_BEFORE_HANDING_OVER
    if change.priority == "P3" and not hand_over:
        book_earliest(change)
    again = _said_slot(change) if change.state == State.SCHEDULED else ""
    then = f"It is booked again: {again}." if again else "Choose another slot."
    people: list[User] = [person for person in (change.requester, change.implementer) if person]
    if hand_over:
        people += User.objects.filter(groups__name=Role.CHANGE_MANAGER, is_active=True)
    outbox.tell(
        people,
        kind=kind,
        # it may be booked there again, and lose it again
        occasion=f"{slot} as of {timezone.now().isoformat()}",
        change=change,
        subject=f"{change.number} {'missed' if missed else 'lost'} its slot, {was}",
        body=f"{reason} {then}",
        due_at=due_at,
    )


# --- what happens by itself on approval -----------------------------------------------------------


def book_on_approval(change: ChangeRequest, actor: User | None) -> None:
    """Book a change that was just approved, where A7 says so: the requested window if it is free, a
    P3 the earliest that fits.

    A window that is less than 24 hours away by now is booked only with the reason that its
    requester gave for that (A12).
    """
    if change.is_emergency:
        return
    wanted, why = change.requested_window_start, ""
    reason = (
        change.hold_reason
        if wanted and wanted == change.hold_start
        else change.requested_window_reason
    )
    if wanted and wanted < timezone.now():
        why = "is over"
    elif wanted and needs_notice(change.priority, wanted) and not reason:
        why = "is less than 24 hours away, and nobody has said yet why it cannot wait"
    elif wanted and not _try_book(change, wanted, reason):
        why = "is not free"
    if change.state == State.APPROVED:
        release(change)  # what was held is booked, or free again
    if change.state == State.APPROVED and change.priority == "P3":
        book_earliest(change)
    if why and change.state == State.APPROVED:
        _propose_next(change, why)


def _try_book(change: ChangeRequest, start: datetime, short_notice_reason: str = "") -> bool:
    try:
        with transaction.atomic():
            book(change, start, actor=None, short_notice_reason=short_notice_reason)
    except Blocked as refused:
        trail.record(
            "change.requested_window_refused",
            change=change,
            data={"start": start.isoformat(), "reasons": [r.message for r in refused.reasons]},
        )
        # The failed attempt left its slot on the object, not in the database.
        change.clear_slot()
        return False
    return True


def _propose_next(change: ChangeRequest, why: str) -> None:
    wanted = change.requested_window_start
    starts, none = free_slots(change, after=timezone.now() + NOTICE, limit=1)
    proposal = (
        f"The next that fits with notice is {say_instant(starts[0])}."
        if starts
        else " ".join(reason.message for reason in none)
    )
    outbox.tell(
        [change.requester],
        kind="slot_taken",
        occasion=f"{change.round} {wanted}",
        change=change,
        subject=f"{change.number} is approved, but its requested window {why}",
        body=f"{proposal} Book it on the change's page.",
    )


def book_earliest(change: ChangeRequest) -> bool:
    """The earliest occurrence at least 24 hours ahead with room, for a P3 (R12, A7); if there is
    none, its requester is told why.
    """
    starts, why = free_slots(change, after=timezone.now() + NOTICE, limit=PROPOSALS)
    # Somebody may book between our look and our booking: then the next proposal is taken, and the
    # approval stands either way.
    if any(_try_book(change, start) for start in starts):
        return True
    reasons = [reason.message for reason in why]
    trail.record("change.no_slot", change=change, data={"reasons": reasons})
    outbox.tell(
        [change.requester],
        kind="no_slot",
        occasion=f"{change.round}",
        change=change,
        subject=f"{change.number} is approved, but no slot fits it",
        body=(
            f"{' '.join(reasons)} It is looked for again every day; shorten the plan or choose"
            " other components to have one sooner."
        ),
    )
    return False
