"""The tick: everything that is due by an instant, done once, however often it is called and however
late (promise 5).

Level-triggered: it asks what should be true now, never what happened since last time, so that after
days of downtime one tick makes everything true again. Each thing is done in a transaction of its
own; one that fails is logged and does not hold up the rest.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from django.db import connection
from django.utils import timezone

from approvals import duties as approving
from audit import trail
from changemgmt import clock
from changemgmt.models import Heartbeat
from implementation import duties as implementing
from notifications import duties as notifying
from reports import duties as reporting
from requests import duties as requesting
from windows import duties as booking

log = logging.getLogger(__name__)
ROUNDS = 50
ONE_AT_A_TIME = 7_301_140  # advisory lock: a second beat finds it taken and leaves

#: In the order in which they are done. What frees a slot comes before what books one, and messages
#: after whatever writes them.
DUTIES: dict[str, Callable[[], int]] = (
    booking.DUTIES
    | implementing.DUTIES
    | approving.DUTIES
    | reporting.DUTIES
    | notifying.DUTIES
    | requesting.DUTIES
)


def tick(at: datetime | None = None) -> dict[str, int]:
    """Do what is due by `at` (default: now) and say how much of each; judged and stamped by that
    instant.
    """
    with clock.standing_at(at or timezone.now()):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [ONE_AT_A_TIME])
            if not cursor.fetchone()[0]:
                return {}
        trail.set_via("system")
        try:
            return _everything()
        finally:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [ONE_AT_A_TIME])


def _everything() -> dict[str, int]:
    done: dict[str, int] = {}
    for _ in range(ROUNDS):
        this_round = {name: _safely(name, duty) for name, duty in DUTIES.items()}
        for name, count in this_round.items():
            done[name] = done.get(name, 0) + count
        if not any(this_round.values()):
            break
    Heartbeat.beat("tick")
    return done


def _safely(name: str, duty: Callable[[], int]) -> int:
    """One duty that fails is logged; the others, and the heartbeat, go on."""
    try:
        return duty()
    except Exception:
        log.exception("Tick: %s", name)
        return 0
