"""The states of a change and the table of allowed moves. The database holds the same table
(migration 0002).
"""

from __future__ import annotations

from django.db import models


class State(models.TextChoices):
    """Where a change stands (domain.md); which moves there are is in TRANSITIONS."""

    DRAFT = "draft", "Draft"
    IN_REVIEW = "in_review", "In review"
    CHANGES_REQUESTED = "changes_requested", "Changes requested"
    APPROVED = "approved", "Approved"
    SCHEDULED = "scheduled", "Scheduled"
    IMPLEMENTING = "implementing", "Implementing"
    VERIFYING = "verifying", "Verifying"
    ROLLING_BACK = "rolling_back", "Rolling back"
    COMPLETED = "completed", "Completed"
    ROLLED_BACK = "rolled_back", "Rolled back"
    FAILED = "failed", "Failed"
    CLOSED = "closed", "Closed"
    REJECTED = "rejected", "Rejected"
    CANCELLED = "cancelled", "Cancelled"


S = State
#: transition → (states it leaves, state it enters, or one of several), as in docs/lifecycle.md.
TRANSITIONS: dict[str, tuple[tuple[State, ...], State | tuple[State, ...]]] = {
    "submit": ((S.DRAFT, S.CHANGES_REQUESTED), S.IN_REVIEW),
    "request_changes": ((S.IN_REVIEW,), S.CHANGES_REQUESTED),
    "reject": ((S.IN_REVIEW,), S.REJECTED),
    "approve": ((S.IN_REVIEW,), S.APPROVED),
    "revise": ((S.IN_REVIEW, S.APPROVED, S.SCHEDULED), S.IN_REVIEW),
    "record": ((S.DRAFT,), (S.IMPLEMENTING, S.VERIFYING)),
    "expire": ((S.APPROVED, S.SCHEDULED), S.IN_REVIEW),
    "lapse": ((S.APPROVED,), S.CHANGES_REQUESTED),
    "escalate": ((S.IN_REVIEW, S.APPROVED, S.SCHEDULED), S.IN_REVIEW),
    "schedule": ((S.APPROVED,), S.SCHEDULED),
    "reschedule": ((S.SCHEDULED,), S.SCHEDULED),
    "unschedule": ((S.SCHEDULED,), S.APPROVED),
    "start": ((S.SCHEDULED, S.APPROVED), S.IMPLEMENTING),
    "finish": ((S.IMPLEMENTING,), S.VERIFYING),
    "complete": ((S.VERIFYING,), S.COMPLETED),
    "roll_back": ((S.IMPLEMENTING, S.VERIFYING, S.COMPLETED, S.CLOSED), S.ROLLING_BACK),
    "finish_rollback": ((S.ROLLING_BACK,), S.ROLLED_BACK),
    "fail": ((S.IMPLEMENTING, S.VERIFYING, S.ROLLING_BACK, S.COMPLETED, S.CLOSED), S.FAILED),
    "close": ((S.COMPLETED, S.ROLLED_BACK, S.FAILED), S.CLOSED),
    "cancel": ((S.DRAFT, S.IN_REVIEW, S.CHANGES_REQUESTED, S.APPROVED, S.SCHEDULED), S.CANCELLED),
}
#: Every allowed (from, to); moves within one state are no moves for the database.
MOVES = sorted(
    {
        (str(source), str(target))
        for sources, targets in TRANSITIONS.values()
        for source in sources
        for target in (targets if isinstance(targets, tuple) else (targets,))
        if source != target
    }
)

EDITABLE = frozenset({S.DRAFT, S.IN_REVIEW, S.CHANGES_REQUESTED, S.APPROVED, S.SCHEDULED})
RUNNING = frozenset({S.IMPLEMENTING, S.VERIFYING, S.ROLLING_BACK})
ENDED = frozenset({S.COMPLETED, S.ROLLED_BACK, S.FAILED, S.CLOSED})
#: Evidence of a run is recorded: from approval to closing.
RECORDABLE = frozenset({S.APPROVED, S.SCHEDULED}) | RUNNING | (ENDED - {S.CLOSED})
OPEN = EDITABLE | RUNNING | (ENDED - {S.CLOSED})
