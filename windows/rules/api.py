"""The calendar's rules over the API: read by everybody, edited by the change manager, signed in (a
token never decides).
"""

from __future__ import annotations

from typing import Any

from ninja import Router

from language.refusal import Invalid
from web.doors import PERSON, Body
from web.http import Request
from windows.calendar import effects
from windows.models import Closure, MaintenanceWindow
from windows.rules import consequences, fields, lockdown, rules

router = Router(tags=["Calendar rules"])
MOST_EDITS = 300


class EditIn(Body):
    kind: str
    key: int | None = None
    values: dict[str, Any] | None = None


class PreviewIn(Body):
    edits: list[EditIn]


class SaveIn(PreviewIn):
    reason: str = ""


def _edits(body: PreviewIn) -> list[rules.Edit]:
    if not 1 <= len(body.edits) <= MOST_EDITS:
        raise Invalid(fields={"edits": f"edits: give between 1 and {MOST_EDITS}."})
    return [rules.Edit(edit.kind, edit.key, edit.values) for edit in body.edits]


def rule_out(row: MaintenanceWindow | Closure) -> dict[str, Any]:
    made = {
        "by": row.made_by.username if row.made_by else None,
        "reason": row.reason,
        "since": row.since,
    }
    return {"key": row.pk, **fields.as_sent(row), **made}


@router.get("/calendar/rules", operation_id="list_calendar_rules")
def list_rules(request: Request) -> Any:
    """Every rule in force, with the key that an edit names."""
    windows = MaintenanceWindow.objects.in_force().select_related("made_by")
    closures = Closure.objects.in_force().select_related("made_by")
    return {
        "windows": [rule_out(row) for row in windows],
        "closures": [rule_out(row) for row in closures],
    }


@router.post("/calendar/rules/preview", operation_id="preview_calendar_rules")
def preview(request: Request, body: PreviewIn) -> Any:
    """What the edits would do: nothing is stored."""
    found = consequences.consequence(_edits(body), request.user)
    return {
        "widens": found.widens,
        "warnings": found.warnings,
        "effects": [_effect_out(effect) for effect in found.effects],
        "displaced": [
            {
                "change": item.change.number,
                "was": item.was,
                "reasons": [reason.as_dict() for reason in item.reasons],
                "next_start": item.next_start,
            }
            for item in found.displaced
        ],
        "displaced_count": found.displaced_count,
    }


def _effect_out(effect: effects.Effect) -> dict[str, Any]:
    def span(found: tuple[Any, Any] | None) -> Any:
        return {"start": found[0], "end": found[1]} if found else None

    return {
        "priorities": effect.priorities,
        "gained": [span(found) for found in effect.gained],
        "lost": [span(found) for found in effect.lost],
        "months": [
            {"month": f"{month.month:%Y-%m}", "before": month.before, "after": month.after}
            for month in effect.months
        ],
        "longest_shut": {"before": span(effect.shut.before), "after": span(effect.shut.after)},
    }


@router.post("/calendar/rules", operation_id="save_calendar_rules", auth=PERSON)
def save(request: Request, body: SaveIn) -> Any:
    """Put the edits into effect, all or none; `proposal` is the one that waits for a second person,
    if they allow more than now (A27).
    """
    proposal = rules.save(actor=request.user, edits=_edits(body), reason=body.reason)
    return {
        "applied": proposal is None,
        "proposal": proposal.pk if proposal else None,
        "widens": proposal.widens if proposal else [],
    }


class LockdownIn(Body):
    reason: str = ""
    components: list[str] = []


class LiftIn(Body):
    reason: str = ""


def _lockdown_out(row: Closure) -> dict[str, Any]:
    return {
        "id": row.pk,
        "name": row.name,
        "components": row.scope,
        "since": row.since,
        "reason": row.reason,
        "lifted_at": row.till,
    }


@router.get("/calendar/lockdowns", operation_id="list_lockdowns")
def lockdowns(request: Request) -> Any:
    """Those in force."""
    return {"items": [_lockdown_out(row) for row in lockdown.in_force()]}


@router.post("/calendar/lockdowns", operation_id="lock_down", auth=PERSON, response={201: Any})
def lock_down(request: Request, body: LockdownIn) -> Any:
    """Stop all that is planned, now, on these components or on all."""
    return 201, _lockdown_out(
        lockdown.lock_down(actor=request.user, scope=body.components, reason=body.reason)
    )


@router.post("/calendar/lockdowns/{lockdown_id}/lift", operation_id="lift_lockdown", auth=PERSON)
def lift(request: Request, lockdown_id: int, body: LiftIn) -> Any:
    """Let what it held go on."""
    return _lockdown_out(lockdown.lift(actor=request.user, key=lockdown_id, reason=body.reason))
