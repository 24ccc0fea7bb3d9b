"""Approvals of emergencies that were given by telephone: the person named is told at once and says
whether it is so (A4).
"""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import User
from accounts.roles import Role
from approvals.models import Confirmation, Decision, Step
from approvals.people import who_decides
from approvals.rounds import rounds
from audit import trail
from language.refusal import Invalid, Reason, raise_refusal
from language.say import say_instant
from notifications import outbox
from requests import lifecycle
from requests.models import ChangeRequest
from requests.states import State

ANSWER_WITHIN = timedelta(hours=24)


def ask(decision: Decision) -> None:
    """Tell the person in whose name an approval was recorded; the answer is due within 24 hours.
    Runs within `decide`.
    """
    confirmation = Confirmation.objects.create(
        decision=decision, due_at=decision.at + ANSWER_WITHIN
    )
    change = decision.change
    outbox.tell(
        [decision.principal],
        kind="phone_approval",
        occasion=f"{decision.pk}",
        change=change,
        subject=f"{change.number}: {decision.actor} recorded your approval by telephone",
        body=(
            f"“{change.summary}” may start because of it. Say on the change's page whether you"
            f" approved it, by {say_instant(confirmation.due_at)}."
        ),
    )


def confirmation_refusal(confirmation: Confirmation | None, actor: User) -> list[Reason]:
    """Why this person cannot answer; None stands for a step of which nothing was recorded by
    telephone.
    """
    if confirmation is None:
        return [Reason("not_needed", "Nothing about this step waits for a confirmation.")]
    if actor.pk != confirmation.decision.on_behalf_of_id:
        return [
            Reason(
                "not_yours",
                f"Only {confirmation.decision.principal}, in whose name it was recorded,"
                " confirms it.",
            )
        ]
    if confirmation.answered_at is not None:
        answer = Confirmation.Answer(confirmation.answer).label.lower()
        return [
            Reason(
                "settled",
                f"You answered “{answer}” at {confirmation.answered_at:%H:%M} UTC already.",
            )
        ]
    return []


@transaction.atomic
def confirm(*, actor: User, number: str, step_id: int, answer: str) -> Step:
    """Answer whether one approved by telephone. “I did not” takes the approval back, before the
    start, and alerts (A4).

    Raises NotYours for anybody but the person named, Blocked when nothing waits, Invalid for
    another answer.
    """
    step = who_decides.step_for(actor, number, step_id, lock=True)
    found = (
        Confirmation.objects.select_related("decision__actor", "decision__on_behalf_of")
        .filter(decision__step=step)
        .first()
    )
    raise_refusal(confirmation_refusal(found, actor))
    assert found is not None
    if answer not in Confirmation.Answer.values:
        raise Invalid(
            fields={
                "answer": "Answer: this was an approval by telephone; say approved or not_approved."
            }
        )
    found.answer, found.answered_at = answer, timezone.now()
    found.save()
    late = found.answered_at > found.due_at
    trail.record(
        "approval.confirm",
        actor=actor,
        change=step.change,
        data={"decision": found.decision_id, "answer": answer, "late": late},
    )
    if answer == Confirmation.Answer.NOT_APPROVED:
        _deny(step, found.decision)
    return step


def _deny(step: Step, decision: Decision) -> None:
    """Stop a start that was not yet made, by a new round; tell CTO and change managers
    either way.
    """
    change = step.change
    stopped = change.state in (State.APPROVED, State.SCHEDULED) and step.round == change.round
    if stopped:
        reason = f"{decision.principal} did not approve it by telephone."
        lifecycle.perform(
            change,
            "revise",
            actor=decision.principal,
            reason=reason,
            round=change.round + 1,
            denied=decision.pk,
        )
        rounds.open_round(change)
    standing = (
        "It has not started; it must be authorised again."
        if stopped
        else f"It is {State(change.state).label.lower()} already."
    )
    _alert(
        decision,
        kind="phone_denied",
        subject=f"{change.number}: {decision.principal} did not approve it by telephone",
        body=(
            f"{decision.actor} had recorded that approval at {say_instant(decision.at)}. {standing}"
        ),
    )


def mark_overdue(confirmation: Confirmation) -> None:
    """The clock's verb: nobody answered within 24 hours. Escalated once, and reported."""
    confirmation.overdue_at = timezone.now()
    confirmation.save(update_fields=["overdue_at"])
    decision = confirmation.decision
    change = decision.change
    trail.record(
        "approval.confirmation_overdue",
        change=change,
        data={"decision": decision.pk, "due_at": confirmation.due_at.isoformat()},
    )
    _alert(
        decision,
        kind="phone_unanswered",
        subject=f"{change.number}: an approval by telephone is not confirmed",
        body=(
            f"{decision.actor} recorded at {say_instant(decision.at)} that {decision.principal}"
            " approved it by telephone; there is no answer after 24 hours."
        ),
    )


def _alert(decision: Decision, *, kind: str, subject: str, body: str) -> None:
    watchers = User.objects.filter(
        groups__name__in=[Role.CTO, Role.CHANGE_MANAGER], is_active=True
    ).distinct()
    people = [*watchers, decision.principal, decision.actor]
    outbox.tell(
        people,
        kind=kind,
        occasion=f"{decision.pk}",
        change=decision.change,
        subject=subject,
        body=body,
    )


def waiting_for(actor: User) -> QuerySet[Confirmation]:
    """What was recorded in this person's name, on changes that they can open, and waits for their
    answer; oldest first.
    """
    visible = ChangeRequest.objects.visible_to(actor)
    unanswered = Confirmation.objects.filter(
        decision__on_behalf_of=actor, answered_at__isnull=True, decision__change__in=visible
    )
    return unanswered.select_related(
        "decision__change", "decision__actor", "decision__step"
    ).order_by("due_at", "id")
