"""Who waits for whom: advisory locks that end with the transaction. Taken after the change's row,
the calendar's before a window's.
"""

from __future__ import annotations

from datetime import datetime

from django.db import connection


def _take(function: str, name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(hashtext(%s))", [name])


def calendar_stands() -> None:
    """Nobody edits the calendar between our look at it and our booking or start; those do not wait
    for each other here.
    """
    _take("pg_advisory_xact_lock_shared", "calendar")


def edit_calendar() -> None:
    """Editors of the calendar come one after the other, and wait for whoever books or starts by it
    as it is.
    """
    _take("pg_advisory_xact_lock", "calendar")


def book_window(start: datetime) -> None:
    """Bookers of one window come one after the other, so that places and neighbours are counted
    right.
    """
    _take("pg_advisory_xact_lock", f"window {start.isoformat()}")
