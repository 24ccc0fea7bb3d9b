"""Keeps what calendar programs know of a change's slot in step with the slot, in the same
transaction.
"""

from __future__ import annotations

from django.utils import timezone

from accounts.models import User
from requests.models import ChangeRequest
from windows.models import FeedEntry

#: The transitions after which a change's slot is another one, or none.
MOVES = ("schedule", "reschedule", "unschedule", "revise", "expire", "escalate", "cancel", "start")


def follow_slot(change: ChangeRequest, actor: User | None = None) -> None:
    """The entry says where the slot is now; a change that has lost its slot keeps the old times,
    cancelled.
    """
    entry = FeedEntry.objects.filter(change=change).first()
    if change.slot_start is None or change.slot_end is None:
        if entry is not None and not entry.cancelled:
            entry.cancelled = True
            _save(entry)
        return
    if entry is None:
        FeedEntry.objects.create(
            change=change, start=change.slot_start, end=change.slot_end, updated_at=timezone.now()
        )
    elif entry.cancelled or (entry.start, entry.end) != (change.slot_start, change.slot_end):
        entry.start, entry.end, entry.cancelled = change.slot_start, change.slot_end, False
        _save(entry)


def _save(entry: FeedEntry) -> None:
    entry.sequence += 1
    entry.updated_at = timezone.now()
    entry.save()
