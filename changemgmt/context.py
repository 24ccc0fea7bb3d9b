"""What the shell of every page shows: the window's state, what waits, the test clock."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from approvals import access
from changemgmt import clock
from windows.calendar import Calendar, closure_occurrences, decide, next_transition
from windows.models import current_calendar

MANY = 99


def shell(request: HttpRequest) -> dict[str, Any]:
    """Lazily: pages without the shell (sign-in, fragments) pay nothing."""
    user = getattr(request, "user", None)
    signed_in = bool(user and user.is_authenticated)
    return {
        "now": timezone.now(),
        "test_clock": clock.is_set(),
        "demo_sign_in": settings.DEMO_SIGN_IN,
        "window_state": SimpleLazyObject(lambda: window_state(timezone.now())) if signed_in else None,
        "waiting_count": SimpleLazyObject(lambda: waiting_count(user)) if signed_in else None,
    }


def waiting_count(user: Any) -> str:
    """How many steps wait for the person; counted no further than a badge can say."""
    return badge(len(access.waiting_for(user).values_list("pk", flat=True).order_by()[: MANY + 1]))


def badge(found: int) -> str:
    """A count as the menu shows it."""
    return f"{MANY}+" if found > MANY else str(found or "")


def window_state(at: datetime) -> dict[str, Any]:
    """Open or closed for planned changes, until when, and why; a sentence for the side bar."""
    calendar = rules_for_show(at)
    verdict = decide("P1", at, at, calendar)
    if verdict.allowed:
        return {"open": True, "until": verdict.open_until, "title": "Window open", "tone": "ok", "icon": "radio"}
    shut = [c for c in closure_occurrences(calendar, at, at + timedelta(seconds=1)) if c.shuts("P1", frozenset())]
    return {
        "open": False,
        "next": verdict.next_allowed_start or next_transition("P1", at, calendar),
        "title": "Frozen, only P0" if shut else "Window closed",
        "tone": "warn" if shut else "neutral",
        "icon": "snowflake" if shut else "moon",
    }


_shown: tuple[datetime, Calendar] | None = None
KEPT = timedelta(seconds=20)


def rules_for_show(at: datetime) -> Calendar:
    """The rules for the shell's box alone, kept for some seconds in this process. No verdict that binds is made from these."""
    global _shown
    if _shown is None or not timedelta(0) <= at - _shown[0] < KEPT:
        _shown = (at, current_calendar())
    return _shown[1]
