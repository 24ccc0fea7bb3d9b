"""What waits for its second person, over the API. Sessions only: a token never answers for a person
(contract).
"""

from __future__ import annotations

from typing import Any

from ninja import Router

from proposals import second_person
from proposals.models import Proposal
from web.doors import PERSON, Body
from web.http import Request

router = Router(tags=["Proposals"])


def proposal_out(proposal: Proposal) -> dict[str, Any]:
    return {
        "id": proposal.pk,
        "kind": proposal.kind,
        "subject": proposal.subject,
        "reason": proposal.reason,
        "widens": proposal.widens,
        "state": proposal.state,
        "by": proposal.author.username,
        "at": proposal.created_at,
        "answered_by": proposal.answered_by.username if proposal.answered_by else None,
        "answered_at": proposal.answered_at,
        "answer": proposal.answer or None,
    }


@router.get("/proposals", operation_id="list_proposals")
def proposals(request: Request) -> Any:
    """What waits for a second person, the oldest first; at most 200."""
    rows = (
        Proposal.objects.filter(state=Proposal.State.OPEN)
        .select_related("author", "answered_by")
        .order_by("id")[:200]
    )
    return {"items": [proposal_out(row) for row in rows]}


class DeclineIn(Body):
    reason: str = ""


@router.post("/proposals/{proposal_id}/confirm", operation_id="confirm_proposal", auth=PERSON)
def confirm(request: Request, proposal_id: int) -> Any:
    """Be the second person; it takes effect now (A27)."""
    return proposal_out(second_person.confirm(actor=request.user, key=proposal_id))


@router.post("/proposals/{proposal_id}/decline", operation_id="decline_proposal", auth=PERSON)
def decline(request: Request, proposal_id: int, body: DeclineIn) -> Any:
    """Say no, and why."""
    return proposal_out(
        second_person.decline(actor=request.user, key=proposal_id, reason=body.reason)
    )
