"""The verbs of a run: take over, start, finish, complete, extend, roll back, fail (R54-R68,
R97-R99, R149, R150).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from accounts.models import User
from accounts.roles import Role
from approvals.deciding import ratification
from approvals.rounds import rounds
from audit import trail
from audit.models import Event
from implementation.matrix import TRIGGERS
from implementation.models import REVIEW_WITHIN, ChecklistItem, LeftRun, Review
from implementation.run import guards
from implementation.run.case import Case
from language import reading
from language.refusal import Invalid, raise_refusal
from language.say import say_instant, say_until
from notifications import outbox
from requests import lifecycle
from requests.access import change_to_write
from requests.models import ChangeRequest, Component
from requests.states import State
from windows.booking import locks
from windows.booking.beginning import (
    begins_by_exception,
    begins_by_opening,
    may_be_extended,
    running_beside,
)
from windows.booking.bookings import extend_booking, hold_for_run
from windows.models import current_calendar

MAX_EXTENSION = 60  # minutes in all (A25)
START_LOCK = 7_301_141


# --- implementer ----------------------------------------------------------------------------------


@transaction.atomic
def take_over(*, actor: User, number: str, reason: str = "") -> ChangeRequest:
    """Become the implementer, also during a run (A28). Whoever judged the change takes over only
    what was left, with a reason (A37).
    """
    change = change_to_write(actor, number)
    reason = reading.written("reason", reason, "Reason", needed=False)
    case = Case(change, actor)
    raise_refusal(guards.take_over_refusal(case, reason=reason))
    before, barred = change.implementer, guards.apart_refusal(case)
    _set_implementer(change, actor)
    change.save()
    facts = {"from": before.pk if before else None} | ({"reason": reason} if reason else {})
    if barred:
        LeftRun.objects.create(change=change, by=actor, reason=reason, at=timezone.now())
        facts["barred"] = barred[0].message
    trail.record("change.take_over", actor=actor, change=change, data=facts)
    if before:
        outbox.tell(
            [before],
            kind="taken_over",
            occasion=f"{timezone.now().isoformat()}",
            change=change,
            subject=f"{change.number}: {actor} has taken over from you",
            body=f"“{change.summary}”.",
        )
    return change


@transaction.atomic
def accept_take_over(*, actor: User, number: str, reason: str) -> ChangeRequest:
    """A second person lets a run go forward that somebody who judged it took over from an
    implementer who had left (A37).
    """
    change = change_to_write(actor, number)
    case = Case(change, actor)
    raise_refusal(guards.accept_take_over_refusal(case))
    assert case.left_run is not None
    case.left_run.accepted_by, case.left_run.accepted_at = actor, timezone.now()
    case.left_run.save(update_fields=["accepted_by", "accepted_at"])
    said = reading.written("reason", reason, "Reason")
    trail.record(
        "change.take_over_accept",
        actor=actor,
        change=change,
        data={"by": case.left_run.by_id, "reason": said},
    )
    return change


def _set_implementer(change: ChangeRequest, person: User) -> None:
    change.implementer = person
    change.version += 1
    change.updated_at = timezone.now()


# --- start to complete ----------------------------------------------------------------------------


WHOM_CALLED = (
    "nobody has authorised it: say whom you called and when, or “authorised by NAME by telephone at"
    " hh:mm”."
)


@transaction.atomic
def start(*, actor: User, number: str, reason: str = "") -> ChangeRequest:
    """Begin: everything is judged again, at this instant, under lock (promises 1 and 2).

    `reason`: whom the on-call engineer called and when, for an emergency that nobody has authorised
    yet (A33).
    """
    change = change_to_write(actor, number)
    _take_turns(change)
    locks.calendar_stands()
    case = Case(change, actor)
    raise_refusal(guards.start_refusal(case))
    beside = [slot.change.pk for slot in running_beside(case.taken)] if change.is_emergency else []
    unsettled = case.unsettled(ChecklistItem.Phase.PRE) if change.is_emergency else []
    if change.implementer_id is None or case.starts_before:
        _set_implementer(change, actor)
    before: dict[str, Any] = {}
    if case.starts_before:
        called = reading.said("reason", reason, "Reason", WHOM_CALLED)
        before = {"unauthorised": True, "called": called}
        ratification.start_before(change, actor, called)
    hold_for_run(change)
    about = (change, case.at, case.calendar)
    by = {"one_off": begins_by_opening(*about), "freeze_exception": begins_by_exception(*about)}
    facts: dict[str, Any] = {
        **by,
        **before,
        "running_beside": beside,
        "undone": [item.text for item in unsettled],
        "no_way_back": change.no_way_back,
    }
    facts = {name: fact for name, fact in facts.items() if fact}
    lifecycle.perform(change, "start", actor=actor, priority=change.priority, **facts)
    outbox.withdraw(change_id=change.pk, kind="booked")
    return change


def _take_turns(change: ChangeRequest) -> None:
    """Starts that touch the same components, or what those need, come one after the other
    (domain.md: nothing else running).
    """
    own = list(change.components.values_list("pk", flat=True))
    needed = Component.objects.filter(dependents__in=own).values_list("pk", flat=True)
    with connection.cursor() as cursor:
        for key in sorted({*own, *needed}):
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [START_LOCK, key])


@transaction.atomic
def finish(*, actor: User, number: str) -> ChangeRequest:
    """The steps are through; verification and the 30-minute watch begin (R65-R71)."""
    change = change_to_write(actor, number)
    raise_refusal(guards.finish_refusal(Case(change, actor)))
    _note_overrun(change)
    lifecycle.perform(change, "finish", actor=actor, skipped=_skipped(change))
    return change


@transaction.atomic
def complete(*, actor: User, number: str, reason: str = "") -> ChangeRequest:
    """It works: the change is completed. `reason` shortens the monitoring period, and is
    reported.
    """
    change = change_to_write(actor, number)
    reason = reading.written("reason", reason, "Reason", needed=False)
    case = Case(change, actor)
    raise_refusal(guards.complete_refusal(case, reason=reason))
    left = guards.monitoring_left(change, case.at)
    shortened = (
        {"monitoring_shortened_minutes": int(left.total_seconds() // 60), "reason": reason}
        if left
        else {}
    )
    lifecycle.perform(
        change,
        "complete",
        actor=actor,
        outcome=State.COMPLETED,
        skipped=_skipped(change),
        **shortened,
    )
    _ended(change)
    return change


@transaction.atomic
def roll_back(*, actor: User, number: str, reason: str, trigger: str = "manual") -> ChangeRequest:
    """Begin going back; never refused by calendar, checklist or training (A30)."""
    change = change_to_write(actor, number)
    raise_refusal(guards.roll_back_refusal(Case(change, actor)))
    reason = reading.written("reason", reason, "Reason")
    trigger = trigger or "manual"
    if trigger not in TRIGGERS:
        raise Invalid(fields={"trigger": f"Trigger: choose one of {', '.join(TRIGGERS)}."})
    late = change.state in (State.COMPLETED, State.CLOSED)
    _note_overrun(change)
    facts = {
        "trigger": trigger,
        "after_completion": late,
        "skipped": _skipped(change),
        **_forwards(change),
    }
    lifecycle.perform(change, "roll_back", actor=actor, reason=reason, **facts)
    people = [
        change.requester,
        *User.objects.filter(groups__name=Role.CHANGE_MANAGER, is_active=True),
    ]
    outbox.tell(
        [p for p in people if p != actor],
        kind="rolling_back",
        occasion=f"{change.rollback_started_at}",
        change=change,
        subject=f"{change.number} is being {'recovered' if change.no_way_back else 'rolled back'}",
        body=f"{reason}\n\n“{change.summary}”.",
    )
    return change


@transaction.atomic
def finish_rollback(*, actor: User, number: str, reason: str = "") -> ChangeRequest:
    """Back where it was, verified; the issues that the rollback answers are resolved (A9)."""
    change = change_to_write(actor, number)
    raise_refusal(guards.finish_rollback_refusal(Case(change, actor)))
    now = timezone.now()
    open_issues = list(change.issues.filter(resolved_at__isnull=True))
    for issue in open_issues:
        issue.resolved_at = max(now, issue.detected_at)
        issue.save(update_fields=["resolved_at"])
    lifecycle.perform(
        change,
        "finish_rollback",
        actor=actor,
        outcome=State.ROLLED_BACK,
        resolved=[issue.n for issue in open_issues],
        skipped=_skipped(change),
        reason=reading.written("reason", reason, "Reason", needed=False),
        **_forwards(change),
    )
    _ended(change)
    return change


@transaction.atomic
def fail(*, actor: User, number: str, reason: str) -> ChangeRequest:
    """Neither completed nor rolled back (A4)."""
    change = change_to_write(actor, number)
    raise_refusal(guards.fail_refusal(Case(change, actor)))
    _note_overrun(change)
    reason = reading.written("reason", reason, "Reason")
    lifecycle.perform(
        change, "fail", actor=actor, outcome=State.FAILED, reason=reason, skipped=_skipped(change)
    )
    _ended(change)
    return change


def _forwards(change: ChangeRequest) -> dict[str, str]:
    """What the trail keeps of a way back that leads forwards (A46)."""
    return {"no_way_back": change.no_way_back} if change.no_way_back else {}


def _skipped(change: ChangeRequest) -> int:
    """Checklist items skipped so far: the trail carries their number, for the report's line."""
    return change.checklist.filter(state=ChecklistItem.State.SKIPPED).count()


def _ended(change: ChangeRequest) -> None:
    """What every end of implementation brings: a review owed within 24 hours, and for a P0 its
    deferred reviews (A13).
    """
    change.reviews.filter(superseded=False).update(superseded=True)
    filed = change.submitted_at if change.actual_end and change.submitted_at else timezone.now()
    review = Review.objects.create(change=change, due_at=filed + REVIEW_WITHIN)
    people = [person for person in (change.implementer, change.requester) if person]
    outbox.tell(
        people,
        kind="review_due",
        occasion=f"{review.pk}",
        change=change,
        subject=f"{change.number}: review due {say_instant(review.due_at)}",
        body=(
            f"“{change.summary}” was {State(change.outcome).label.lower()}. "
            f"Write what happened and what was learned by {say_instant(review.due_at)}."
        ),
    )
    if change.is_emergency:
        rounds.add_deferred_reviews(change)


@transaction.atomic
def extend(*, actor: User, number: str, minutes: int, reason: str) -> ChangeRequest:
    """Move the end of a running slot: at most 60 minutes in all, never into a freeze (A25)."""
    change = change_to_write(actor, number)
    raise_refusal(guards.extend_refusal(change, actor))
    reason = reading.written("reason", reason, "Reason")
    used = sum(event.data["minutes"] for event in _extensions(change))
    if not 1 <= minutes <= MAX_EXTENSION - used:
        raise Invalid(
            fields={
                "minutes": (
                    "Minutes: a slot is extended by at most 60 minutes in all;"
                    f" {MAX_EXTENSION - used} are left."
                )
            }
        )
    assert change.slot_end is not None
    end = change.slot_end + timedelta(minutes=minutes)
    raise_refusal(may_be_extended(change, end, current_calendar()))
    change.slot_end, change.overrun_at = end, None
    change.updated_at = timezone.now()
    change.save()
    extend_booking(change)
    trail.record(
        "change.extend",
        actor=actor,
        change=change,
        data={"minutes": minutes, "reason": reason, "end": end.isoformat()},
    )
    return change


def _extensions(change: ChangeRequest) -> list[Event]:
    return list(Event.objects.filter(change_id=change.pk, action="change.extend"))


# --- the clock's verbs ----------------------------------------------------------------------------


def _note_overrun(change: ChangeRequest) -> None:
    """The work itself ends past the slot, and no tick has seen it yet; the watch may run past, and
    a late rollback is no overrun.
    """
    running = (
        change.state in (State.IMPLEMENTING, State.ROLLING_BACK) and change.completed_at is None
    )
    if (
        running
        and change.slot_end
        and timezone.now() > change.slot_end
        and change.overrun_at is None
    ):
        mark_overrun(change)


def mark_overrun(change: ChangeRequest) -> None:
    """A running change has passed its slot's end: recorded and told once (A25)."""
    now = timezone.now()
    change.overrun_at = now
    change.updated_at = now
    change.save()
    end = change.slot_end or now
    trail.record("change.overrun", change=change, data={"slot_end": end.isoformat()})
    managers = User.objects.filter(groups__name=Role.CHANGE_MANAGER, is_active=True)
    outbox.tell(
        [person for person in (change.implementer, change.requester, *managers) if person],
        kind="overrun",
        occasion=f"{end}",
        change=change,
        subject=f"{change.number} runs past its slot, which ended {say_until(end)}",
        body=(
            "It may finish. The change manager or the on-call engineer can extend the slot by up to"
            " 60 minutes."
        ),
    )
