"""Steps and decisions over the API."""

from __future__ import annotations

from typing import Any

from ninja import Router
from pydantic import StrictInt

from approvals.deciding import decisions, ratification, telephone
from approvals.models import Step
from approvals.people import who_decides
from requests import access
from web.doors import PERSON, Body
from web.http import Request

router = Router(tags=["Approvals"])


def step_out(step: Step) -> dict[str, Any]:
    return {
        "id": step.pk,
        "round": step.round,
        "stage": step.stage,
        "kind": step.kind,
        "roles": step.roles,
        "mode": step.mode,
        "needed": step.quorum.size,
        "state": step.state,
        "checklist": [{"key": item["key"], "text": item["text"]} for item in step.checklist],
        "waivable": step.waivable,
        "deferred": step.deferred,
        "opened_at": step.opened_at,
        "decisions": [
            {
                "by": d.actor.username,
                "stand_in_for": d.stand_in.instead_of.username if d.stand_in else None,
                "for": d.on_behalf_of.username if d.on_behalf_of else None,
                "role": d.role,
                "verdict": d.verdict,
                "comment": d.comment,
                "at": d.at,
            }
            for d in step.decisions.all()
        ],
    }


@router.get("/changes/{number}/steps", operation_id="list_steps")
def steps(request: Request, number: str) -> Any:
    """All steps, current round first, by stage."""
    change = access.change_for(request.user, number)
    rows = (
        Step.objects.filter(change=change)
        .with_decisions()
        .order_by("-round", "deferred", "stage", "position")
    )
    return {"items": [step_out(step) for step in rows]}


class DecisionIn(Body):
    verdict: str
    version: StrictInt
    comment: str = ""
    checklist: dict[str, Any] = {}
    valid_hours: StrictInt | None = None
    on_behalf_of: str = ""


@router.post("/changes/{number}/steps/{step_id}/decision", operation_id="decide_step", auth=PERSON)
def decide(request: Request, number: str, step_id: int, body: DecisionIn) -> Any:
    """Approve, reject, request changes or waive, as the person signed in.

    `on_behalf_of`: the on-call engineer records that this person authorised the emergency by
    telephone; they confirm it themselves.
    """
    decision = decisions.decide(
        actor=request.user,
        number=number,
        step_id=step_id,
        verdict=body.verdict,
        version=body.version,
        comment=body.comment,
        checklist=body.checklist,
        valid_hours=body.valid_hours,
        on_behalf_of=body.on_behalf_of,
    )
    return step_out(Step.objects.with_decisions().get(pk=decision.step_id))


class ConfirmationIn(Body):
    answer: str


@router.post(
    "/changes/{number}/steps/{step_id}/confirmation", operation_id="confirm_step", auth=PERSON
)
def confirm(request: Request, number: str, step_id: int, body: ConfirmationIn) -> Any:
    """Say whether you gave the approval recorded in your name by telephone (approved,
    not_approved), or whether an emergency's start before authorisation was right (ratified,
    not_ratified).
    """
    started_before = who_decides.step_for(request.user, number, step_id).ratify_by is not None
    confirm_by = ratification.answer if started_before else telephone.confirm
    step = confirm_by(actor=request.user, number=number, step_id=step_id, answer=body.answer)
    return step_out(Step.objects.with_decisions().get(pk=step.pk))


@router.get("/approvals", operation_id="list_approvals")
def waiting(request: Request) -> Any:
    """The steps that wait for the caller, most urgent and oldest first; at most 200."""
    rows = who_decides.waiting_for(request.user).select_related("change").with_decisions()[:200]
    return {
        "items": [
            step_out(step)
            | {
                "change": step.change.number,
                "summary": step.change.summary,
                "priority": step.change.priority,
            }
            for step in rows
        ]
    }
