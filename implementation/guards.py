"""Why a run may not move: one function per transition, asked by services, `actions`, gate and page alike. Empty means it may."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from accounts.models import User
from accounts.roles import Role
from approvals.models import Decision
from audit.models import Event
from audit.refusal import Reason
from implementation.models import ChecklistItem, Review
from requests import content, lifecycle
from requests.models import ChangeRequest
from requests.say import say_instant, say_length, say_until
from requests.states import RUNNING, State
from windows.calendar import decide
from windows.models import current_calendar, lifted_for
from windows.services import named, scope_of, taken_between

MONITORING = timedelta(minutes=30)  # R82, R71
REOPEN_WITHIN = timedelta(days=7)  # A30


# --- who -------------------------------------------------------------------------------------------------------------------------


def is_implementer(change: ChangeRequest, actor: User) -> bool:
    """The person in the field, or while it is empty any DevOps role (A28)."""
    if not actor.may_write:
        return False
    return change.implementer_id == actor.pk if change.implementer_id else actor.is_devops


def implementer_refusal(change: ChangeRequest, actor: User) -> list[Reason]:
    if is_implementer(change, actor):
        return []
    if change.implementer_id and actor.is_devops:
        return [Reason("not_yours", f"{change.implementer} implements it; take it over first, with one click.")]
    return [Reason("not_yours", "Implementing is for the implementer, a DevOps role.")]


def take_over_refusal(change: ChangeRequest, actor: User) -> list[Reason]:
    if not actor.is_devops:
        return [Reason("not_yours", "A DevOps role or the on-call engineer takes over.")]
    if change.implementer_id == actor.pk:
        return [Reason("yours_already", "You implement it already.")]
    if change.state not in {State.APPROVED, State.SCHEDULED, *RUNNING}:
        return [Reason("state", f"{change.number} is {State(change.state).label.lower()}; there is nothing to take over.")]
    return []


def _implementer_or(change: ChangeRequest, actor: User, *roles: str) -> list[Reason]:
    if is_implementer(change, actor) or (actor.may_write and actor.has_role(*roles)):
        return []
    return [
        Reason(
            "not_yours",
            "This is for the implementer" + (", the on-call engineer." if Role.ON_CALL_ENGINEER in roles else " or the change manager."),
        )
    ]


# --- start, and the gate -----------------------------------------------------------------------------------------------------------


def start_refusal(change: ChangeRequest, actor: User, at: datetime | None = None) -> list[Reason]:
    """Everything that stands against starting now, each with its remedy (promises 1 and 2)."""
    return _starter_refusal(change, actor) + run_refusal(change, at or timezone.now(), actor)


def _starter_refusal(change: ChangeRequest, actor: User) -> list[Reason]:
    if refusal := implementer_refusal(change, actor):
        return refusal
    last_stage = max((s.stage for s in change.steps.filter(round=change.round, deferred=False)), default=0)
    approvers = set(
        Decision.objects.filter(
            change=change, round=change.round, stage=last_stage, deferred=False, verdict=Decision.Verdict.APPROVE
        ).values_list("actor", flat=True)
    )
    if approvers == {actor.pk}:
        return [Reason("only_approver", "You alone gave the last approval; somebody else must start it.")]
    return []


def run_refusal(change: ChangeRequest, at: datetime, actor: User | None = None) -> list[Reason]:
    """What the gate answers at that instant, the caller's role apart."""
    if change.state == State.APPROVED and not change.is_emergency:
        return [Reason("not_scheduled", f"{change.number} has no slot; book one first.")]
    if refusal := lifecycle.state_refusal(change, "start"):
        return refusal
    if refusal := _approval_refusal(change):
        return refusal
    if change.is_emergency:
        return []  # any time, once authorised; no checklist or component in the way (R74, A29)
    return [
        *_slot_refusal(change, at),
        *_checklist_refusal(change, ChecklistItem.Phase.PRE),
        *_dependency_refusal(change, actor),
        *_component_refusal(change, at, actor),
    ]


def _approval_refusal(change: ChangeRequest) -> list[Reason]:
    """Approvals are read again, for the content as it is now."""
    steps = list(change.steps.filter(round=change.round, deferred=False))
    authors = change.authors.values("user")
    counted = change.decisions.filter(round=change.round, deferred=False)
    unsound = counted.filter(actor__in=authors).exists() or counted.exclude(content_hash=change.content_hash).exists()
    if not steps or any(not step.is_settled for step in steps) or change.approved_hash != change.content_hash or unsound:
        return [Reason("not_approved", f"{change.number} lacks an approval that its policy demands.")]
    return []


def _slot_refusal(change: ChangeRequest, at: datetime) -> list[Reason]:
    assert change.slot_start is not None
    length = change.plan_length
    end = change.window_end or change.slot_end
    if end is not None and at >= end:
        return [Reason("slot_missed", f"Its slot passed unused: the window ended {say_until(end)}. Book another.", rule="Slot", until=end)]
    verdict = decide(change.priority, at, at + length, current_calendar(), scope_of(change), lifted_for(change, change.slot_start))
    if at < change.slot_start:
        if verdict.allowed or change.slot_start - at <= timedelta(hours=24):
            wait = say_length(change.slot_start - at)
            return [
                Reason(
                    "too_early",
                    f"Its slot opens {say_instant(change.slot_start)}, in {wait}.",
                    rule=change.window_name or "Slot",
                    until=change.slot_start,
                    next_allowed_at=change.slot_start,
                )
            ]
        return [Reason(r.code, r.message, r.rule, r.until, change.slot_start, r.override_roles) for r in verdict.reasons] or [
            Reason(
                "too_early", f"Its slot opens {say_instant(change.slot_start)}.", until=change.slot_start, next_allowed_at=change.slot_start
            )
        ]
    return list(verdict.reasons)


def checklist_open(change: ChangeRequest, *phases: str) -> list[ChecklistItem]:
    return [item for item in change.checklist.all() if item.phase in phases and not item.is_settled]


def _checklist_refusal(change: ChangeRequest, *phases: str) -> list[Reason]:
    waiting = checklist_open(change, *phases)
    if not waiting:
        return []
    first = waiting[0].text
    more = f" and {len(waiting) - 1} more" if len(waiting) > 1 else ""
    return [Reason("checklist", f"The checklist waits for “{first}”{more}: do it, or skip it and say why.", rule="Checklist")]


def _dependency_refusal(change: ChangeRequest, actor: User | None) -> list[Reason]:
    return [
        Reason(
            "dependency",
            f"It needs {named(needed, actor)} to be completed first.",
            rule="Dependency",
        )
        for needed in change.depends_on.all()
        if needed.outcome != State.COMPLETED
    ]


def _component_refusal(change: ChangeRequest, at: datetime, actor: User | None) -> list[Reason]:
    """Nothing else may run on our components or those that they depend on, nor be booked on ours before the plan is through."""
    found = [
        Reason("component_busy", f"Component busy: {named(other, actor)} is running on {', '.join(slugs)}.", rule="Component busy")
        for other, slugs in running_beside(change)
    ]
    end = at + change.plan_length
    for slot in taken_between(change, at, end):
        if slot.same and slot.change.state == State.SCHEDULED and slot.start >= at:
            found.append(
                Reason(
                    "does_not_fit",
                    f"Next booking: {named(slot.change, actor)} on {', '.join(sorted(slot.same))} from {say_until(slot.start)}; "
                    "the plan no longer fits before it.",
                    rule="Next booking",
                    until=slot.end,
                )
            )
    return found


def running_beside(change: ChangeRequest) -> list[tuple[ChangeRequest, list[str]]]:
    """Running changes on our components or on those that ours depend on."""
    own = list(change.components.all())
    watched = {c.pk: c.slug for c in own}
    for component in own:
        watched |= {needed.pk: needed.slug for needed in component.depends_on.all()}
    others = (
        ChangeRequest.objects.filter(state__in=RUNNING, components__in=list(watched))
        .exclude(pk=change.pk)
        .distinct()
        .prefetch_related("components")
    )
    return [(other, sorted(watched[c.pk] for c in other.components.all() if c.pk in watched)) for other in others]


def gate(change: ChangeRequest, at: datetime, actor: User | None = None) -> tuple[bool, list[Reason], datetime | None, datetime | None]:
    """(allow, reasons, next_allowed_at, until): exactly what `start` would answer at that instant, the caller's role apart.

    While it runs, true until the end of its window, or of its slot where that was extended.
    """
    if change.state == State.IMPLEMENTING:
        end = max((e for e in (change.window_end, change.slot_end) if e), default=None)
        if end is None or at < end:
            return True, [], None, end
        return False, [Reason("window_over", f"Its window ended {say_until(end)}.", until=end)], None, None
    reasons = run_refusal(change, at, actor)
    if reasons:
        upcoming = next((reason.next_allowed_at for reason in reasons if reason.next_allowed_at), None)
        return False, reasons, upcoming, None
    return True, [], at, change.window_end


# --- finish, complete, roll back, fail, close ----------------------------------------------------------------------------------------


def finish_refusal(change: ChangeRequest, actor: User) -> list[Reason]:
    return (
        lifecycle.state_refusal(change, "finish")
        or implementer_refusal(change, actor)
        or _checklist_refusal(change, ChecklistItem.Phase.START, ChecklistItem.Phase.DURING)
    )


def monitoring_left(change: ChangeRequest, at: datetime) -> timedelta:
    return max(timedelta(0), change.finished_at + MONITORING - at) if change.finished_at else timedelta(0)


def complete_refusal(change: ChangeRequest, actor: User, *, reason: str = "") -> list[Reason]:
    found = lifecycle.state_refusal(change, "complete") or implementer_refusal(change, actor)
    if found:
        return found
    found = _checklist_refusal(change, ChecklistItem.Phase.POST)
    latest = {check.name: check for check in change.checks.all()}
    found += [
        Reason(
            "check_failed",
            f"The latest “{check.name}” failed; repeat it, or have a DevOps lead or the on-call engineer accept it.",
            rule="Checks",
        )
        for check in latest.values()
        if not check.passed and (check.accepted_by_id is None or check.accepted_by_id == change.implementer_id)
    ]
    left = monitoring_left(change, timezone.now())
    if left and not reason.strip():
        until = timezone.now() + left
        found.append(
            Reason(
                "monitoring",
                f"Monitoring runs until {until:%H:%M} UTC, {say_length(left)} more; to shorten it, give a reason.",
                rule="30-minute watch",
                until=until,
                next_allowed_at=until,
            )
        )
    return found


def _reopened_in_time(change: ChangeRequest, name: str) -> list[Reason]:
    """Ended changes can be rolled back or failed until 7 days after completion (A30)."""
    if refusal := lifecycle.state_refusal(change, name):
        return refusal
    if change.state in RUNNING:
        return []
    if change.outcome != State.COMPLETED:
        return [Reason("state", f"{change.number} was {State(change.outcome).label.lower()} already.")]
    if change.completed_at and timezone.now() - change.completed_at > REOPEN_WITHIN:
        return [Reason("too_late", f"It was completed more than 7 days ago, on {say_instant(change.completed_at)}; request a new change.")]
    return []


def roll_back_refusal(change: ChangeRequest, actor: User) -> list[Reason]:
    """Refused by no window, freeze, training or checklist: only by the state, and to people who may not (A30)."""
    return _reopened_in_time(change, "roll_back") or _implementer_or(change, actor, Role.ON_CALL_ENGINEER)


def finish_rollback_refusal(change: ChangeRequest, actor: User) -> list[Reason]:
    return (
        lifecycle.state_refusal(change, "finish_rollback")
        or implementer_refusal(change, actor)
        or _checklist_refusal(change, ChecklistItem.Phase.ROLLBACK)
    )


def fail_refusal(change: ChangeRequest, actor: User) -> list[Reason]:
    return _reopened_in_time(change, "fail") or _implementer_or(change, actor, Role.CHANGE_MANAGER)


def extend_refusal(change: ChangeRequest, actor: User) -> list[Reason]:
    if not (actor.may_write and actor.has_role(Role.CHANGE_MANAGER, Role.ON_CALL_ENGINEER)):
        return [Reason("not_yours", "The change manager or the on-call engineer extends a slot.")]
    if change.state not in {State.IMPLEMENTING, State.VERIFYING} or change.slot_end is None:
        return [Reason("state", f"{change.number} is {State(change.state).label.lower()}; a running slot is extended.")]
    return []


def current_review(change: ChangeRequest) -> Review | None:
    return change.reviews.filter(superseded=False).select_related("written_by", "confirmed_by").first()


def documentation_owed(change: ChangeRequest) -> list[str]:
    """The template fields that a P0 still owes (A22)."""
    if not change.is_emergency:
        return []
    kept = change.documentation.order_by("-version").first()
    values = {**change.content(), **(kept.values if kept else {}), "priority": "P1"}  # judged as a P1's would be
    return [name for name in content.missing_fields(values) if name in content.DOCUMENTATION or name == "downtime_minutes"]


def owed(change: ChangeRequest) -> list[Reason]:
    """What must come in before an ended change closes (A13, A22)."""
    review = current_review(change)
    found = []
    if review is None or review.written_at is None:
        due = f", due {say_instant(review.due_at)}" if review else ""
        found.append(Reason("review", f"The post-implementation review is not written yet{due}.", until=review.due_at if review else None))
    elif change.confirmation_owed and review.confirmed_at is None:
        found.append(Reason("confirmation", "Somebody who did not implement it has to confirm the review."))
    if fields := documentation_owed(change):
        labels = ", ".join(content.BY_NAME[name].label.lower() for name in fields)
        found.append(Reason("documentation", f"The emergency's documentation lacks: {labels}."))
    if change.is_emergency:
        waiting = [step for step in change.steps.filter(deferred=True, round=change.round) if step.state == step.State.OPEN]
        found += [Reason("deferred_review", f"The {step.label.lower()}, deferred for the emergency, is not given yet.") for step in waiting]
    return found


def close_refusal(change: ChangeRequest, actor: User) -> list[Reason]:
    if refusal := lifecycle.state_refusal(change, "close"):
        return refusal
    if not (actor.may_write and actor.has_role(Role.CHANGE_MANAGER)):
        return [Reason("not_yours", "The change manager closes; by itself it closes when everything owed is in.")]
    return owed(change)


def review_refusal(change: ChangeRequest, actor: User) -> list[Reason]:
    if not (actor.may_write and (actor.pk in (change.implementer_id, change.requester_id) or actor.has_role(Role.CHANGE_MANAGER))):
        return [Reason("not_yours", "Implementer, requester or change manager write the review.")]
    review = current_review(change)
    if review is None:
        return [Reason("state", f"{change.number} is {State(change.state).label.lower()}; its review follows the implementation.")]
    if review.confirmed_at or change.state == State.CLOSED:
        return [Reason("settled", "The review is settled; it is not changed any more.")]
    return []


def implementers(change: ChangeRequest) -> set[int]:
    """Everybody who had a hand in the run: who implements it, and whoever started it or took it over."""
    actions = ["change.start", "change.take_over", "change.finish", "change.complete", "change.finish_rollback"]
    hands = Event.objects.filter(change_id=change.pk, action__in=actions, actor__isnull=False).values_list("actor", flat=True)
    return {key for key in hands if key} | ({change.implementer_id} if change.implementer_id else set())


def documentation_refusal(change: ChangeRequest, actor: User) -> list[Reason]:
    if not change.is_emergency:
        return [Reason("state", "Only an emergency is documented afterwards.")]
    if not (actor.may_write and (actor.pk in (change.implementer_id, change.requester_id) or actor.has_role(Role.CHANGE_MANAGER))):
        return [Reason("not_yours", "Implementer, requester or change manager document an emergency.")]
    if change.state not in (State.COMPLETED, State.ROLLED_BACK, State.FAILED):
        return [Reason("state", f"{change.number} is {State(change.state).label.lower()}; documentation follows the implementation.")]
    return []


def confirmation_refusal(change: ChangeRequest, actor: User) -> list[Reason]:
    review = current_review(change)
    if review is None or review.written_at is None:
        return [Reason("state", "There is no written review to confirm.")]
    if not change.confirmation_owed:
        return [Reason("not_needed", "A completed change's review needs no confirmation.")]
    if review.confirmed_at:
        return [Reason("settled", f"{review.confirmed_by} confirmed it already.")]
    if not actor.may_write:
        return [Reason("not_yours", "Your roles read; they change nothing.")]
    if actor.pk == review.written_by_id or actor.pk in implementers(change):
        return [Reason("not_yours", "Somebody who neither implemented the change nor wrote the review confirms it.")]
    return []
