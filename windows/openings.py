"""Who vouches for a one-off opening: nobody who has a hand in a change that asks for a time in it (A37).

An opening names no change. What a change asks for is its requested window, its hold, or the opening that was asked for in its name; where
it is booked at last, `questions` judges once more.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from audit.models import Event
from requests.models import ChangeRequest
from requests.states import EDITABLE
from windows.models import MaintenanceWindow

ASKED_WITHIN = timedelta(days=100)  # who asks looks for a slot at most 90 days ahead


def hands_in(openings: Iterable[MaintenanceWindow]) -> dict[int, str]:
    """Person → number of a change of theirs that asks for a time in one of these openings, and whose components it is for. Four queries."""
    spans = [(row, occurrence) for row in openings for occurrence in row.value().occurrences(row.begins, row.begins + timedelta(days=2))]
    if not spans:
        return {}
    within = Q()
    for _, span in spans:
        for name in ("requested_window_start", "hold_start"):
            within |= Q(**{f"{name}__gte": span.start, f"{name}__lt": span.end})
    asked = _asked_for()
    open_ones = ChangeRequest.objects.filter(within | Q(pk__in=asked), state__in=EDITABLE).prefetch_related("components", "authors")
    found: dict[int, str] = {}
    for change in open_ones:
        starts = [at for at in (change.requested_window_start, change.hold_start, *asked.get(change.pk, [])) if at]
        scope = {component.slug for component in change.components.all()}
        if any(span.start <= at < span.end and (not row.scope or scope & set(row.scope)) for row, span in spans for at in starts):
            people = {change.requester_id, change.implementer_id, *(author.user_id for author in change.authors.all())}
            found |= {person: change.number for person in people if person}
    return found


def _asked_for() -> dict[int, list[datetime]]:
    """Change → the starts for which an opening of its own was asked, lately."""
    asked: dict[int, list[datetime]] = {}
    events = Event.objects.filter(action="change.opening_asked", at__gte=timezone.now() - ASKED_WITHIN).order_by("-id")[:1000]
    for event in events:
        if event.change_id:
            asked.setdefault(event.change_id, []).append(datetime.fromisoformat(event.data["start"]))
    return asked
