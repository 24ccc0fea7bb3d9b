"""A change as the API shows it."""

from __future__ import annotations

from typing import Any

from language.say import plain
from requests.models import ChangeRequest


def change_out(change: ChangeRequest) -> dict[str, Any]:
    """A change as the API shows it; the number of a confidential original is not told."""
    values = {name: value if value != "" else None for name, value in change.content().items()}
    for name in (
        "summary",
        "reason",
        "implementation_steps",
        "rollback_plan",
        "testing_plan",
        "user_impact",
        "performance_impact",
        "security_impact",
    ):
        values[name] = getattr(change, name)
    slot = None
    if change.slot_start and change.slot_end:
        window = (
            {"name": change.window_name, "start": change.window_start, "end": change.window_end}
            if change.window_start
            else None
        )
        slot = {"start": change.slot_start, "end": change.slot_end, "window": window}
    shown: dict[str, Any] = plain(
        {"id": change.number, "state": change.state, "outcome": change.outcome or None}
        | {
            name: value.isoformat() if name == "requested_date" and value else value
            for name, value in values.items()
        }
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
            "slot": slot,
            "hold": (
                {"start": change.hold_start, "end": change.hold_end} if change.hold_start else None
            ),
            "started_at": change.started_at,
            "finished_at": change.finished_at,
            "completed_at": change.completed_at,
            "closed_at": change.closed_at,
            "version": change.version,
            "duplicate_of": (
                change.duplicate_of.number
                if change.duplicate_of and not change.duplicate_of.confidential
                else None
            ),
        }
    )
    return shown


def _requested_window(change: ChangeRequest) -> dict[str, Any] | None:
    if change.requested_window_start is None:
        return None
    reason = (
        {"short_notice_reason": change.requested_window_reason}
        if change.requested_window_reason
        else {}
    )
    return {"start": change.requested_window_start, **reason}
