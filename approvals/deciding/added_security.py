"""A security review that nobody's answer asked for: any reviewer may add it to the round (A16)."""

from __future__ import annotations

from django.db import transaction

from accounts.models import User
from approvals.models import Step
from approvals.people import who_decides
from approvals.policy import policy
from approvals.rounds import rounds
from audit import trail
from language import reading
from language.refusal import NotYours, Reason, raise_refusal
from requests import access
from requests.models import ChangeRequest
from requests.states import State

REVIEW_STAGE = rounds.REVIEW_STAGE


def refusal(change: ChangeRequest, actor: User) -> list[Reason]:
    """Why this person may not add it: it is for a reviewer of the open review stage, while it has
    none.
    """
    if change.state != State.IN_REVIEW or change.is_emergency:
        return [
            Reason(
                "state",
                f"{change.number} is not in review; a security review is added while its reviews"
                " are open.",
            )
        ]
    steps = list(
        Step.objects.filter(change=change, round=change.round, stage=REVIEW_STAGE).with_decisions()
    )
    if any(step.kind == policy.SECURITY for step in steps):
        return [Reason("settled", "This round has a security review already.")]
    if not any(step.state == Step.State.OPEN for step in steps):
        return [
            Reason(
                "state",
                "The reviews of this round are through; request changes, so that another round asks"
                " for it.",
            )
        ]
    roles = who_decides.roles_for_deciding(actor)
    if actor.pk in who_decides.authors_of(change) or not any(
        roles & set(step.roles) for step in steps
    ):
        return [
            Reason(
                "not_yours",
                "A reviewer of this change adds a security review; whoever requested or edited it"
                " does not.",
            )
        ]
    return []


@transaction.atomic
def add(*, actor: User, number: str, reason: str) -> Step:
    """Ask security, too, for this round. A security engineer decides it, or waives it with a
    reason.
    """
    change = access.change_to_write(actor, number)
    found = refusal(change, actor)
    if found and found[0].code == "not_yours":
        raise NotYours(found)
    raise_refusal(found)
    reason = reading.said("reason", reason, "Reason", "say what security should look at.")
    step = rounds.add_security(change, actor)
    trail.record(
        "approval.add_security",
        actor=actor,
        change=change,
        data={"step": step.pk, "reason": reason},
    )
    rounds.ask(change, [step])
    return step
