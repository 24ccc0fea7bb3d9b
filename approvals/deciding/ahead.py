"""Signing the next stage in the same visit: it counts when that stage opens, and never if an edit
or an objection comes first (item 6).
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from approvals.deciding import decisions
from approvals.models import Advance, Step
from approvals.people import who_decides
from approvals.policy import policy
from audit import trail
from language.refusal import Blocked, Missing, Reason, raise_refusal, refuse_if
from requests import access


def may_sign(
    steps: Sequence[Step],
    step: Step,
    user: User,
    capacities: Sequence[who_decides.Capacity],
    authors: frozenset[int],
) -> list[Step]:
    """The steps of the stage after `step`'s that this person could sign together with it; `steps`
    are those of the round.
    """
    if step.deferred or user.pk in authors:
        return []
    following = [
        other
        for other in steps
        if not other.deferred
        and other.stage == step.stage + 1
        and other.state == Step.State.WAITING
    ]
    return [other for other in following if not refusal(other, user, capacities, authors)][
        :1
    ]  # nobody decides twice in one stage


def refusal(
    step: Step, user: User, capacities: Sequence[who_decides.Capacity], authors: frozenset[int]
) -> list[Reason]:
    """Why this person may not sign a waiting step in advance: by the rules of the step, its state
    apart.
    """
    if step.checklist or step.kind == policy.EMERGENCY:
        return [
            Reason(
                "checklist",
                f"The {step.label.lower()} has a checklist; it is given when it is open.",
            )
        ]
    if not _fitting(step, user, capacities, authors):
        return [Reason("not_yours", f"The {step.label.lower()} is not yours to give.")]
    return []


def _fitting(
    step: Step, user: User, capacities: Sequence[who_decides.Capacity], authors: frozenset[int]
) -> list[who_decides.Capacity]:
    return [
        c for c in capacities if c.roles & set(step.roles) and not {user.pk, c.principal} & authors
    ]


@transaction.atomic
def sign(*, actor: User, number: str, step_id: int, version: int) -> None:
    """Sign a step of the next stage. If the verdict just given has opened it, this is an approval;
    else it waits for its stage.
    """
    step = who_decides.step_for(actor, number, step_id, lock=True)
    if step.state == Step.State.OPEN:
        decisions.decide(
            actor=actor, number=number, step_id=step_id, verdict="approve", version=version
        )
        return
    if step.state != Step.State.WAITING:
        raise Blocked([Reason("settled", f"The {step.label.lower()} waits for nobody any more.")])
    if version != step.change.version:
        raise Blocked([Reason("stale", "The change was edited since you opened it.")])
    capacities, authors = who_decides.capacities_of(actor), who_decides.authors_of(step.change)
    raise_refusal(refusal(step, actor, capacities, authors))
    refuse_if(_order_refusal(step, actor))
    principal = _fitting(step, actor, capacities, authors)[0].principal
    Advance.objects.create(
        step=step, user=actor, principal_id=principal, version=version, at=timezone.now()
    )
    said = {"step": step.pk, "kind": step.kind, "round": step.round}
    trail.record("approval.advance", actor=actor, change=step.change, data=said)


REVIEW_FIRST = "Approve a step of the stage before it first; then both can be given in one visit."
SIGNED = "You have signed in that stage already; each stage takes different people."


def _order_refusal(step: Step, actor: User) -> list[Reason]:
    """Ahead goes only who has approved in the stage before, and once in a stage."""
    before = Step.objects.filter(
        change=step.change, round=step.round, deferred=False, stage=step.stage - 1
    )
    if not before.filter(decisions__actor=actor, decisions__verdict="approve").exists():
        return [Reason("not_reviewed", REVIEW_FIRST)]
    signed = Advance.objects.filter(user=actor, step__change=step.change, ended_at__isnull=True)
    if signed.filter(step__round=step.round, step__stage=step.stage).exists():
        return [Reason("decided", SIGNED)]
    return []


@transaction.atomic
def take_back(*, actor: User, number: str, step_id: int) -> None:
    """Before it has counted, whoever signed in advance may take that back."""
    change = access.change_to_write(actor, number)
    found = (
        Advance.objects.filter(
            step_id=step_id, step__change=change, user=actor, ended_at__isnull=True
        ).first()
        if step_id > 0
        else None
    )
    if found is None:
        raise Missing(
            [Reason("missing", "You have signed nothing in advance here, or it counts already.")]
        )
    found.end(Advance.Outcome.TAKEN_BACK)
    trail.record("approval.advance_back", actor=actor, change=change, data={"step": step_id})
