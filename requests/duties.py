"""What the clock owes to changes in general, and how duties go through them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from language.refusal import Refused
from requests.models import ChangeRequest, IdempotencyKey

log = logging.getLogger(__name__)
BATCH = 200  # of each kind in one round of the tick


def each_change(numbers: Iterable[int], act: Callable[[ChangeRequest], bool]) -> int:
    """Run `act` on each change, locked, in a transaction of its own; it looks again whether it is
    still due.
    """
    count = 0
    for pk in numbers:
        try:
            with transaction.atomic():
                change = (
                    ChangeRequest.objects.select_for_update(of=("self",))
                    .select_related("requester", "implementer")
                    .get(pk=pk)
                )
                count += act(change)
        except Refused as refused:
            log.warning("Tick: change %s: %s", pk, refused)
        except Exception:
            log.exception("Tick: change %s", pk)
    return count


def old_keys() -> int:
    """Idempotency keys are kept for a day."""
    IdempotencyKey.objects.filter(created_at__lt=timezone.now() - timedelta(days=1)).delete()
    return 0


#: Name → what is done; each returns how often it did something.
DUTIES: dict[str, Callable[[], int]] = {
    "old_keys": old_keys,
}
