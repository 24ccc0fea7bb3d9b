"""What the clock owes to runs and their reviews."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.utils import timezone

from implementation.models import Review
from implementation.review import reviews
from implementation.run import foresight, verbs
from requests.duties import BATCH, each_change
from requests.models import ChangeRequest
from requests.states import State

AT_WORK = (State.IMPLEMENTING, State.ROLLING_BACK)


def slots_ahead() -> int:
    """A day and two hours before a slot what would stop it is told, and when it opens, that it may
    start (item 8).
    """
    return each_change(
        list(foresight.due().order_by("slot_start", "id").values_list("pk", flat=True)[:BATCH]),
        foresight.tell,
    )


def overruns() -> int:
    """Work past its slot's end is marked, once; the 30-minute watch may run past, and a late
    rollback is none (A25).
    """
    now = timezone.now()

    def act(change: ChangeRequest) -> bool:
        if (
            change.state not in AT_WORK
            or change.overrun_at
            or change.slot_end is None
            or change.slot_end > now
        ):
            return False
        verbs.mark_overrun(change)
        return True

    late = ChangeRequest.objects.filter(
        state__in=AT_WORK, slot_end__lte=now, overrun_at__isnull=True, completed_at__isnull=True
    )
    return each_change(
        list(late.order_by("slot_start", "id").values_list("pk", flat=True)[:BATCH]), act
    )


def overdue_reviews() -> int:
    """A review not written within 24 hours becomes overdue, once (A13)."""
    return _each_review(reviews.mark_overdue, written_at__isnull=True, overdue_at__isnull=True)


def overdue_documentation() -> int:
    """An emergency's missing documentation becomes overdue with its review, once (A13, A22)."""
    ended = [State.COMPLETED, State.ROLLED_BACK, State.FAILED]
    return _each_review(
        reviews.mark_documentation_overdue,
        documentation_overdue_at__isnull=True,
        change__priority="P0",
        change__state__in=ended,
    )


def _each_review(mark: Callable[[Review], bool | None], **due: Any) -> int:
    """Mark each review that is past its deadline and still answers to `due`, looked at again under
    lock.
    """
    now, count = timezone.now(), 0
    late = Review.objects.filter(superseded=False, due_at__lte=now, **due).order_by("due_at", "id")
    for pk in list(late.values_list("pk", flat=True)[:BATCH]):
        with transaction.atomic():
            locked = late.select_for_update(of=("self",)).select_related(
                "change__requester", "change__implementer"
            )
            review = locked.filter(pk=pk).first()
            count += review is not None and mark(review) is not False
    return count


#: Name → what is done; each returns how often it did something.
DUTIES: dict[str, Callable[[], int]] = {
    "slots_ahead": slots_ahead,
    "overruns": overruns,
    "overdue_reviews": overdue_reviews,
    "overdue_documentation": overdue_documentation,
}
