"""A reviewer's word on the risk: lowered with a reason, as a recorded act and no edit, so that
verdicts stand (A18).
"""

from __future__ import annotations

from django.db import transaction

from accounts.models import User
from approvals.models import Step
from approvals.people import who_decides
from audit import trail
from language import reading
from language.refusal import Blocked, Invalid, Reason, raise_refusal
from notifications import outbox
from requests import access, apart, risk
from requests.models import ChangeRequest
from requests.states import State


def refusal(change: ChangeRequest, actor: User) -> list[Reason]:
    """Why this person may not lower the risk: it is for who could decide one of its open
    steps now.
    """
    if change.state != State.IN_REVIEW:
        return [
            Reason(
                "state",
                f"{change.number} is {State(change.state).label.lower()}; its risk is judged while"
                " it is in review.",
            )
        ]
    if change.no_way_back:
        return [Reason("state", f"{change.number} has no way back; its risk is high.")]
    if barred := apart.hand_refusal(change, actor, "lowers its risk"):
        return barred
    authors, capacities = who_decides.authors_of(change), who_decides.capacities_of(actor)
    for step in Step.objects.filter(
        change=change, round=change.round, state=Step.State.OPEN
    ).with_decisions():
        step.change = change
        if who_decides.best_capacity(step, actor, capacities, authors=authors, decided=frozenset())[
            0
        ]:
            return []
    return [
        Reason(
            "not_yours",
            "Only a reviewer of this change lowers its risk; whoever requested or edited it does"
            " not.",
        )
    ]


@transaction.atomic
def lower(*, actor: User, number: str, level: str, reason: str) -> ChangeRequest:
    """Say that the risk is lower than the requester put it, and why. It holds for this round;
    another round judges anew.
    """
    change = access.change_to_write(actor, number)
    found = refusal(change, actor)
    raise_refusal(found)
    reason = reading.said(
        "reason", reason, "Reason", "say why it is lower than its requester put it."
    )
    if level not in risk.LEVELS:
        raise Invalid(fields={"level": f"Level: choose one of {', '.join(risk.LEVELS)}."})
    before = change.risk_now
    if not risk.is_below(level, before):
        raise Blocked(
            [
                Reason(
                    "not_lower",
                    f"The risk is {before}; to raise it, ask its requester for an edit, or request"
                    " changes.",
                )
            ]
        )
    change.assessed_risk, change.assessed_reason, change.assessed_by = level, reason, actor
    change.save(update_fields=["assessed_risk", "assessed_reason", "assessed_by"])
    trail.record(
        "approval.assess",
        actor=actor,
        change=change,
        data={"from": before, "to": level, "reason": reason},
    )
    outbox.tell(
        [change.requester],
        kind="assessed",
        occasion=f"{change.round} {level}",
        change=change,
        subject=f"{change.number}: {actor} lowered its risk from {before} to {level}",
        body=reason,
    )
    return change
