"""The trail over the API."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from ninja import Router

from accounts.models import User
from accounts.roles import Role
from audit import trail
from audit.models import Event
from language import reading
from language.refusal import Invalid, NotYours, Reason
from requests import access, redaction
from web.doors import PERSON, Body
from web.http import Request

router = Router(tags=["Audit"])
READERS = (Role.AUDITOR, Role.CHANGE_MANAGER)


def may_read_all(user: User) -> bool:
    return user.has_role(*READERS)


def event_out(event: Event, numbers: dict[int, str]) -> dict[str, Any]:
    return {
        "id": event.pk,
        "at": event.at,
        "action": event.action,
        "actor": event.actor.username if event.actor else None,
        "change": numbers.get(event.change_id or 0),
        "data": event.said,
        "digests": event.digests,
        "via": event.via,
    }


@router.get("/audit", operation_id="list_events")
def events(
    request: Request,
    change: str = "",
    actor: str = "",
    action: str = "",
    limit: int = 100,
    cursor: int = 0,
) -> Any:
    """Events, oldest first. Everybody reads those of a change that they can see; auditors and
    change managers read all.
    """
    rows = Event.objects.select_related("actor", "words").order_by("pk")
    if change:
        rows = rows.filter(change_id=access.change_for(request.user, change).pk)
    elif not may_read_all(request.user):
        raise NotYours(
            [
                Reason(
                    "not_yours",
                    "Auditors and change managers read the whole trail; name a change to read its"
                    " own.",
                )
            ]
        )
    if actor:
        rows = rows.filter(actor__username=actor)
    if action:
        rows = rows.filter(action=action)
    for name, lookup in (("from", "at__gte"), ("to", "at__lt")):
        if value := request.GET.get(name):
            rows = rows.filter(**{lookup: _instant(value, name)})
    if not 1 <= limit <= 200 or not 0 <= cursor < 2**63:
        raise Invalid(
            fields={"limit": "limit: give between 1 and 200; cursor: take it from “next”."}
        )
    found = list(rows.filter(pk__gt=cursor)[: limit + 1])
    numbers = trail.change_numbers(found)
    items = [event_out(event, numbers) for event in found[:limit]]
    return {"items": items, "next": str(found[limit - 1].pk) if len(found) > limit else None}


def _instant(value: str, name: str) -> datetime:
    try:
        at = reading.instant(value)
    except reading.Wrong as problem:
        raise Invalid(fields={name: f"{name}: {problem}"}) from None
    return at + timedelta(days=1) if name == "to" and len(value) == 10 else at


class RedactIn(Body):
    n: int
    reason: str


@router.get("/audit/{int:key}/texts", operation_id="event_texts")
def texts(request: Request, key: int) -> Any:
    """What people wrote in an event: `[{n, place, text}]`; `text` is null once it is redacted."""
    event, _ = redaction.event_for(request.user, key)
    if event.change_id is None and not may_read_all(request.user):
        raise NotYours(
            [
                Reason(
                    "not_yours",
                    "Auditors and change managers read the whole trail; name a change to read its"
                    " own.",
                )
            ]
        )
    return [
        {"n": text.n, "place": text.place, "text": text.text} for text in redaction.texts(event)
    ]


@router.post(
    "/audit/{int:key}/redact",
    operation_id="propose_redaction",
    auth=PERSON,
    response={202: dict[str, Any]},
)
def redact(request: Request, key: int, body: RedactIn) -> Any:
    """Ask for the second person who agrees that a text goes (A41): 202 `{proposal}`."""
    made = redaction.propose(actor=request.user, event_key=key, n=body.n, reason=body.reason)
    return 202, {"proposal": made.pk}


@router.get("/audit/verify", operation_id="verify_audit")
def verify(request: Request) -> Any:
    """Recompute the chain: `{ok, events, head, redacted}`, and in `problem` where it breaks."""
    if not may_read_all(request.user):
        raise NotYours([Reason("not_yours", "Auditors and change managers verify the trail.")])
    found = trail.verify()
    return {
        "ok": found.ok,
        "events": found.events,
        "head": found.head,
        "problem": found.problem,
        "redacted": found.redacted,
    }
