"""A change as the API shows it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from language.say import plain
from requests.models import ChangeRequest

#: Texts, which are shown as they are: empty, not missing.
PLANS = ("summary", "reason", "implementation_steps", "rollback_plan", "testing_plan")
TEXTS = (*PLANS, "user_impact", "performance_impact", "security_impact")


def change_out(change: ChangeRequest) -> dict[str, Any]:
    """A change as the API shows it; the number of a confidential original is not told."""
    values = {name: value if value != "" else None for name, value in change.content().items()}
    values |= {name: getattr(change, name) for name in TEXTS}
    if values["requested_date"]:
        values["requested_date"] = values["requested_date"].isoformat()
    original = change.duplicate_of
    shown: dict[str, Any] = plain(
        {"id": change.number, "state": change.state, "outcome": change.outcome or None}
        | values
        | {
            "requested_window": _requested_window(change),
            "external_refs": change.external_refs,
            "implementer": change.implementer.username if change.implementer else None,
            "confidential": change.confidential,
            "major": change.major,
            "assessed_risk": change.assessed_risk or None,
            "requester": change.requester.username,
            "requester_role": change.requester_role,
            "created_at": change.created_at,
            "submitted_at": change.submitted_at,
            "approved_at": change.approved_at,
            "slot": _slot(change),
            "hold": _span(change.hold_start, change.hold_end),
            "started_at": change.started_at,
            "finished_at": change.finished_at,
            "completed_at": change.completed_at,
            "closed_at": change.closed_at,
            "version": change.version,
            "duplicate_of": original.number if original and not original.confidential else None,
        }
    )
    return shown


def _span(start: datetime | None, end: datetime | None) -> dict[str, Any] | None:
    return {"start": start, "end": end} if start else None


def _slot(change: ChangeRequest) -> dict[str, Any] | None:
    if not (change.slot_start and change.slot_end):
        return None
    window = _span(change.window_start, change.window_end)
    named = {"name": change.window_name} | window if window else None
    return {"start": change.slot_start, "end": change.slot_end, "window": named}


def _requested_window(change: ChangeRequest) -> dict[str, Any] | None:
    if change.requested_window_start is None:
        return None
    reason = (
        {"short_notice_reason": change.requested_window_reason}
        if change.requested_window_reason
        else {}
    )
    return {"start": change.requested_window_start, **reason}
