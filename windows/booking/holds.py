"""A slot that is kept while its change is approved again: an edit voids the approvals, the place in
the window stays until the round ends (A35).
"""

from __future__ import annotations

from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import User
from audit.models import Event
from notifications import outbox
from requests.models import ChangeRequest
from windows.models import Booking


def keep(change: ChangeRequest, actor: User | None = None) -> None:
    """After `revise`: what was booked is held for the plan as it is now; given up where it has
    passed, or does not fit any more.
    """
    rows = list(Booking.objects.filter(change=change).order_by("id"))
    Booking.objects.filter(change=change).delete()
    outbox.withdraw(change_id=change.pk, kind="booked")
    start = rows[0].during.lower if rows else None
    clear(change)
    if (
        start is None
        or change.is_emergency
        or start <= timezone.now()
        or not all(row.exclusive for row in rows)
    ):
        return  # what stood there by an override is asked anew
    change.hold_start, change.hold_end = start, start + max(change.plan_length, Booking.LEAST)
    change.hold_reason = _reason_given(change, start)
    try:
        with transaction.atomic():
            Booking.objects.bulk_create(_rows(change, change.hold_start, change.hold_end))
    except IntegrityError:  # it has grown into somebody else's
        clear(change)
        return
    change.requested_window_start = start
    change.save(update_fields=[*FIELDS, "requested_window_start"])


FIELDS = ("hold_start", "hold_end", "hold_reason")


def clear(change: ChangeRequest) -> None:
    """Nothing is held any more; the rows of a hold are the caller's to delete."""
    if change.hold_start is not None:
        change.hold_start, change.hold_end, change.hold_reason = None, None, ""
        change.save(update_fields=[*FIELDS])


def _rows(change: ChangeRequest, start: datetime, end: datetime) -> list[Booking]:
    return [
        Booking(change=change, component=component, during=(start, end))
        for component in change.components.all()
    ]


def _reason_given(change: ChangeRequest, start: datetime) -> str:
    """The short-notice reason that somebody gave for this slot."""
    booked = (
        Event.objects.filter(
            change_id=change.pk, action__in=("change.schedule", "change.reschedule")
        )
        .select_related("words")
        .order_by("-id")
        .first()
    )
    said = (
        booked.said if booked and booked.data.get("start") == f"{start:%Y-%m-%dT%H:%M:%SZ}" else {}
    )
    return str(said.get("short_notice_reason", "")) or change.requested_window_reason
