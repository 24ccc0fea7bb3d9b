"""Who vouches for a one-off opening: nobody who has a hand in a change that asks for a time in it
(A37).

An opening names no change. What a change asks for is its requested window, its hold, or the opening
that was asked for in its name; where it is booked at last, `questions` judges once more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, time, timedelta

from django.db.models import Q
from django.utils import timezone

from audit.models import Event
from requests.models import ChangeRequest
from requests.states import EDITABLE
from windows.calendar.recurrence import Occurrence
from windows.models import MaintenanceWindow

ASKED_WITHIN = timedelta(days=100)  # who asks looks for a slot at most 90 days ahead


def hands_in(openings: Iterable[MaintenanceWindow]) -> dict[int, str]:
    """Person → number of a change of theirs that asks for a time in one of these openings, and
    whose components it is for. Four queries.
    """
    spans = [(row, occurrence) for row in openings for occurrence in _all_of(row)]
    if not spans:
        return {}
    within = Q()
    for _, span in spans:
        for name in ("requested_window_start", "hold_start"):
            within |= Q(**{f"{name}__gte": span.start, f"{name}__lt": span.end})
    asked = _asked_for()
    open_ones = ChangeRequest.objects.filter(
        within | Q(pk__in=asked), state__in=EDITABLE
    ).prefetch_related("components", "authors")
    found: dict[int, str] = {}
    for change in open_ones:
        # What is booked elsewhere asks for nothing here any more.
        wanted = (
            [change.slot_start]
            if change.slot_start
            else [change.requested_window_start, change.hold_start, *asked.get(change.pk, [])]
        )
        scope = {component.slug for component in change.components.all()}
        if any(_serves(row, span, change, scope, at) for row, span in spans for at in wanted if at):
            people = {
                change.requester_id,
                change.implementer_id,
                *(author.user_id for author in change.authors.all()),
            }
            found |= {person: change.number for person in people if person}
    return found


def _all_of(row: MaintenanceWindow) -> Iterator[Occurrence]:
    """Its occurrences, wherever its zone puts the first; the last day of one that comes once by a
    rule bounds them.
    """
    last = datetime.combine(row.until, time.max, UTC) if row.until else row.begins
    return row.value().occurrences(row.begins - timedelta(days=2), last + timedelta(days=2))


def _serves(
    row: MaintenanceWindow, span: Occurrence, change: ChangeRequest, scope: set[str], at: datetime
) -> bool:
    return (
        span.start <= at < span.end
        and change.priority in row.priorities
        and (not row.scope or bool(scope & set(row.scope)))
    )


def _asked_for() -> dict[int, list[datetime]]:
    """Change → the starts for which an opening of its own was asked, lately."""
    asked: dict[int, list[datetime]] = {}
    events = Event.objects.filter(
        action="change.opening_asked", at__gte=timezone.now() - ASKED_WITHIN
    ).order_by("-id")[:1000]
    for event in events:
        if event.change_id:
            asked.setdefault(event.change_id, []).append(
                datetime.fromisoformat(event.data["start"])
            )
    return asked
