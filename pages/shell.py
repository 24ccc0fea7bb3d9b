"""What the shell of every page shows: the window's state, what waits, the test clock."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from approvals.people import who_decides
from changemgmt import clock
from windows.booking.openness import window_state

MANY = 99


def shell(request: HttpRequest) -> dict[str, Any]:
    """Lazily: pages without the shell (sign-in, fragments) pay nothing."""
    user = getattr(request, "user", None)
    signed_in = bool(user and user.is_authenticated)
    return {
        "now": timezone.now(),
        "test_clock": clock.is_set(),
        "demo_sign_in": settings.DEMO_SIGN_IN,
        "window_state": (
            SimpleLazyObject(lambda: window_state(timezone.now())) if signed_in else None
        ),
        "waiting_count": SimpleLazyObject(lambda: waiting_count(user)) if signed_in else None,
    }


def waiting_count(user: Any) -> str:
    """How many steps wait for the person; counted no further than a badge can say."""
    return badge(
        len(who_decides.waiting_for(user).values_list("pk", flat=True).order_by()[: MANY + 1])
    )


def badge(found: int) -> str:
    """A count as the menu shows it."""
    return f"{MANY}+" if found > MANY else str(found or "")
