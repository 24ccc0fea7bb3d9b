"""The calendar enforced on what is booked: asked again after every edit and at every tick (item 4,
promise 2).

Level-triggered: which bookings does the calendar, as it is now, no longer let in? Those lose their
slot, with the reason, and their people are told; a P3 is booked again. A lockdown holds: bookings
stay, and `start` refuses until it is lifted.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from audit import trail
from language.refusal import Reason
from requests.models import ChangeRequest
from requests.states import State
from windows.booking import bookings
from windows.booking.openness import Openness
from windows.booking.questions import booking_verdict
from windows.booking.slots import scope_of
from windows.calendar.verdict import EMERGENCY, HORIZON, Calendar, window_at, window_occurrences
from windows.models import FeedEntry, current_calendar, last_edit, lifted_for

log = logging.getLogger(__name__)
BATCH = 200  # at a time; the tick goes on with the rest


def enforce_all() -> int:
    """Move every booking that the calendar has made void; how many. After an edit, and at every
    tick for whatever that did not reach.
    """
    return len([key for key in void(current_calendar())[:BATCH] if move(key)])


def void(calendar: Calendar) -> list[int]:
    """Keys of scheduled changes whose slot the calendar does not let in any more, or whose window
    has moved; by slot. Two queries.
    """
    now = timezone.now()
    scheduled = ChangeRequest.objects.filter(state=State.SCHEDULED, slot_end__gt=now).exclude(
        priority=EMERGENCY
    )
    changes = list(
        scheduled.only("priority", *SLOT)
        .prefetch_related("components")
        .order_by("slot_start", "id")
    )
    return [change.pk for change in _void_of(changes, calendar, now)]


SLOT = ("slot_start", "slot_end", "window_name", "window_start", "window_end")


def _void_of(
    changes: list[ChangeRequest], calendar: Calendar, now: datetime
) -> Iterator[ChangeRequest]:
    if not changes:
        return
    end = min(max(change.slot_end for change in changes if change.slot_end), now + HORIZON)
    known = {(o.name, o.start, o.end) for o in window_occurrences(calendar, now, end)}
    openness = Openness(calendar, now, end)
    for change in changes:
        if (
            not openness.holds(change)
            or (change.window_name, change.window_start, change.window_end) not in known
        ):
            yield change


def move(key: int) -> bool:
    """Look again at one change, locked, in a transaction of its own: displace it, or follow its
    window. Whether anything was done.
    """
    try:
        with transaction.atomic():
            found = (
                ChangeRequest.objects.select_for_update(of=("self",), no_key=True)
                .select_related("requester", "implementer")
                .filter(pk=key)
                .first()
            )
            return found is not None and enforce(found)
    except Exception:
        log.exception("Enforcing the calendar on change %s", key)
        return False


def enforce(change: ChangeRequest) -> bool:
    """Hold a locked change's booking against the calendar as it is now."""
    now = timezone.now()
    if (
        change.state != State.SCHEDULED
        or change.is_emergency
        or change.slot_start is None
        or change.slot_end is None
    ):
        return False
    if change.slot_end <= now:
        return False  # its window passes; `missed` is the tick's
    calendar = current_calendar()
    rest = _rest_verdict(change, calendar, now)
    if rest:
        bookings.displace(change, kind="displaced", reason=_said(rest), due_at=_since(change, now))
        return True
    return _follow_window(change, calendar)


def _rest_verdict(change: ChangeRequest, calendar: Calendar, now: datetime) -> tuple[Reason, ...]:
    """Why the part of the slot that is still to come is shut; empty if it is open."""
    assert change.slot_start is not None
    assert change.slot_end is not None
    begin, lifted = max(change.slot_start, now), lifted_for(change, change.slot_start)
    return booking_verdict(
        change.priority, scope_of(change), begin, change.slot_end, calendar, lifted
    ).reasons


def _since(change: ChangeRequest, now: datetime) -> datetime:
    """When the slot became void: with the last edit of the calendar or of the change, or when its
    exception was taken back.
    """
    entry = FeedEntry.objects.filter(change=change).first()
    taken_back = change.freeze_exceptions.aggregate(at=Max("declined_at"))["at"]
    return min(
        now,
        max(
            filter(
                None,
                (last_edit(), change.updated_at, taken_back, entry.updated_at if entry else None),
            ),
            default=now,
        ),
    )


def _said(reasons: tuple[Reason, ...]) -> str:
    return " ".join(dict.fromkeys(reason.message for reason in reasons))


def _follow_window(change: ChangeRequest, calendar: Calendar) -> bool:
    """A window that got another name, beginning or end while the slot still fits: the booking says
    so, too.
    """
    assert change.slot_start is not None
    assert change.slot_end is not None
    at = max(change.slot_start, timezone.now())
    window = window_at(calendar, at, change.slot_end, change.priority, scope_of(change))
    if window is None or (change.window_name, change.window_start, change.window_end) == (
        window.name,
        window.start,
        window.end,
    ):
        return False
    before = {
        "window": change.window_name,
        "end": change.window_end.isoformat() if change.window_end else None,
    }
    change.window_name, change.window_start, change.window_end = (
        window.name,
        window.start,
        window.end,
    )
    change.save(update_fields=["window_name", "window_start", "window_end"])
    trail.record(
        "change.window_moved",
        change=change,
        data={"before": before, "after": {"window": window.name, "end": window.end.isoformat()}},
    )
    return True
