"""Changes and components over the API."""

from __future__ import annotations

from typing import Any

from ninja import Router

from accounts.roles import Role
from approvals.deciding import decisions
from approvals.people import who_decides
from approvals.rounds import taking_back
from language.refusal import Invalid, Missing, NotYours, Reason
from requests import access, changes, components, content, listing
from requests.models import Component
from requests.shapes import change_out
from web.doors import Body, ReasonIn, answer, body_values
from web.http import Request

router = Router(tags=["Changes"])
FIELDS_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        **{
                            f.name: {"description": f"{f.label} ({f.requirement})"}
                            for f in content.FIELDS
                        },
                        "version": {
                            "type": "integer",
                            "description": "PATCH: the version that you saw",
                        },
                        "requested_window": {"description": "{start, short_notice_reason?}"},
                        "external_refs": {"description": "[{system, key, url}]"},
                        "implementer": {"description": "username"},
                        "confidential": {"type": "boolean"},
                        "major": {"type": "boolean"},
                    },
                }
            }
        },
    }
}


@router.post("/changes", operation_id="create_change", openapi_extra=FIELDS_BODY)
def create(request: Request) -> Any:
    """A new draft. Wrong values are refused by field; missing ones are asked for at submission."""
    return answer(201, change_out(changes.create(actor=request.user, values=body_values(request))))


@router.get("/changes", operation_id="list_changes")
def index(
    request: Request,
    q: str = "",
    state: str = "",
    priority: str = "",
    risk: str = "",
    component: str = "",
    requester: str = "",
    mine: str = "",
    watching: str = "",
    needs_me: str = "",
    ended: str = "",
    outcome: str = "",
    sort: str = "",
    limit: str = "",
    cursor: str = "",
) -> Any:
    """Visible changes, newest first; `from` and `to` bound creation: instants, or days, both
    included. Several values are comma-separated.
    """
    query = listing.read_address(request.GET)
    if query.wrong:
        raise Invalid(fields=query.wrong)
    found = listing.changes(query, request.user)
    if query.needs_me:
        found = found.filter(pk__in=who_decides.waiting_for(request.user).values("change"))
    page = listing.page(query, found.for_pages().select_related("duplicate_of"))
    return {"items": [change_out(change) for change in page.items], "next": page.next}


@router.get("/changes/{number}", operation_id="get_change")
def show(request: Request, number: str) -> Any:
    return change_out(access.change_for(request.user, number))


@router.patch("/changes/{number}", operation_id="edit_change", openapi_extra=FIELDS_BODY)
def edit(request: Request, number: str) -> Any:
    """Edit fields; `version` is the one that you saw. Content edited in review or later must be
    approved again.
    """
    values = body_values(request)
    version = values.pop("version", None)
    if not isinstance(version, int) or isinstance(version, bool):
        raise Invalid(
            fields={
                "version": "Version: send the version of the change that you saw, a whole number."
            }
        )
    return change_out(
        taking_back.edit(actor=request.user, number=number, version=version, values=values)
    )


@router.post("/changes/{number}/submit", operation_id="submit_change")
def submit(request: Request, number: str, body: ReasonIn | None = None) -> Any:
    """Hand it to its reviewers; an incomplete one is 422 with an entry per missing field."""
    return change_out(decisions.submit(actor=request.user, number=number))


@router.post("/changes/{number}/cancel", operation_id="cancel_change")
def cancel(request: Request, number: str, body: ReasonIn | None = None) -> Any:
    body = body or ReasonIn()
    return change_out(
        taking_back.cancel(
            actor=request.user, number=number, reason=body.reason, duplicate_of=body.duplicate_of
        )
    )


@router.post("/changes/{number}/clone", operation_id="clone_change")
def clone(request: Request, number: str, body: ReasonIn | None = None) -> Any:
    return answer(201, change_out(changes.clone(actor=request.user, number=number)))


class EscalateIn(Body):
    reason: str
    emergency_kind: str
    emergency_reference: str


@router.post("/changes/{number}/escalate", operation_id="escalate_change")
def escalate(request: Request, number: str, body: EscalateIn) -> Any:
    """Make it a P0 under the same number: a new round with the emergency authorisation alone."""
    return change_out(taking_back.escalate(actor=request.user, number=number, **body.dict()))


class TransferIn(Body):
    requester: str


@router.post("/changes/{number}/transfer", operation_id="transfer_change")
def transfer(request: Request, number: str, body: TransferIn) -> Any:
    return change_out(changes.transfer(actor=request.user, number=number, requester=body.requester))


class CommentIn(Body):
    text: str


@router.post("/changes/{number}/comments", operation_id="comment_on_change")
def comment(request: Request, number: str, body: CommentIn) -> Any:
    made = changes.comment(actor=request.user, number=number, text=body.text)
    return answer(
        201, {"id": made.pk, "text": made.text, "by": made.author.username, "at": made.created_at}
    )


# --- components -----------------------------------------------------------------------------------


def component_out(component: Component) -> dict[str, Any]:
    return {
        "slug": component.slug,
        "name": component.name,
        "team": component.team,
        "owner": component.owner.username if component.owner else None,
        "depends_on": sorted(needed.slug for needed in component.depends_on.all()),
        "security_review": component.security_review,
        "retired_at": component.retired_at,
        "usual": {usual.role: usual.user.username for usual in component.usual.all()},
    }


def _component(slug: str) -> Component:
    found = Component.objects.filter(slug=slug).first()
    if found is None:
        raise Missing([Reason("missing", f"There is no component {slug[:60]!r}.")])
    return found


@router.get("/components", operation_id="list_components", tags=["Components"])
def list_components(request: Request) -> Any:
    return {
        "items": [
            component_out(c)
            for c in Component.objects.select_related("owner").prefetch_related(
                "depends_on", "usual__user"
            )
        ]
    }


@router.post("/components", operation_id="create_component", tags=["Components"])
def create_component(request: Request) -> Any:
    return answer(
        201,
        component_out(
            components.save(actor=request.user, component=None, values=body_values(request))
        ),
    )


@router.patch("/components/{slug}", operation_id="edit_component", tags=["Components"])
def edit_component(request: Request, slug: str) -> Any:
    if not request.user.has_role(Role.CHANGE_MANAGER) and not request.user.is_superuser:
        raise NotYours([Reason("not_yours", components.NOT_YOURS)])
    values = body_values(request)
    reason = values.pop("reason", "")
    proposal = components.edit(
        actor=request.user,
        component=_component(slug),
        values=values,
        reason=reason if isinstance(reason, str) else "",
    )
    return answer(202, {"proposal": proposal.pk}) if proposal else component_out(_component(slug))
