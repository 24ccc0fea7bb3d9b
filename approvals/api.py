"""Steps and decisions over the API."""

from __future__ import annotations

from typing import Any

from ninja import Router
from pydantic import StrictInt

from approvals import access, services
from approvals.models import Step
from audit.refusal import Invalid
from changemgmt.api_base import Body
from changemgmt.http import Request
from requests import access as requests_access

router = Router(tags=["Approvals"])


def step_out(step: Step) -> dict[str, Any]:
    return {
        "id": step.pk,
        "round": step.round,
        "stage": step.stage,
        "kind": step.kind,
        "roles": step.roles,
        "mode": step.mode,
        "state": step.state,
        "checklist": step.checklist,
        "waivable": step.waivable,
        "deferred": step.deferred,
        "opened_at": step.opened_at,
        "decisions": [
            {"by": d.actor.username, "for": None, "role": d.role, "verdict": d.verdict, "comment": d.comment, "at": d.at}
            for d in step.decisions.all()
        ],
    }


@router.get("/changes/{number}/steps", operation_id="list_steps")
def steps(request: Request, number: str) -> Any:
    """All steps, current round first, by stage."""
    change = requests_access.change_for(request.user, number)
    rows = change.steps.prefetch_related("decisions__actor").order_by("-round", "deferred", "stage", "position")
    return {"items": [step_out(step) for step in rows]}


class DecisionIn(Body):
    verdict: str
    version: StrictInt
    comment: str = ""
    checklist: dict[str, Any] = {}
    on_behalf_of: str = ""


@router.post("/changes/{number}/steps/{step_id}/decision", operation_id="decide_step")
def decide(request: Request, number: str, step_id: int, body: DecisionIn) -> Any:
    """Approve, reject, request changes or waive, as the person signed in."""
    if body.on_behalf_of:
        raise Invalid(fields={"on_behalf_of": "On behalf of: approvals by telephone are not recorded here yet; decide as yourself."})
    decision = services.decide(
        actor=request.user,
        number=number,
        step_id=step_id,
        verdict=body.verdict,
        version=body.version,
        comment=body.comment,
        checklist=body.checklist,
    )
    return step_out(Step.objects.prefetch_related("decisions__actor").get(pk=decision.step_id))


@router.get("/approvals", operation_id="list_approvals")
def waiting(request: Request) -> Any:
    """The steps that wait for the caller, most urgent and oldest first; at most 200."""
    rows = access.waiting_for(request.user).select_related("change").prefetch_related("decisions__actor")[:200]
    return {
        "items": [
            step_out(step) | {"change": step.change.number, "summary": step.change.summary, "priority": step.change.priority}
            for step in rows
        ]
    }
