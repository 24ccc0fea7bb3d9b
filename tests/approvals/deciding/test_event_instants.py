"""How events say instants (X37)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]


def said(desk: Sit, number: str, action: str) -> dict[str, Any]:
    items = desk("auditor").get(f"/audit?change={number}&action={action}")["items"]
    return dict(items[-1]["data"])


def test_instants_in_events_are_utc_with_z_in_whole_seconds(desk: Sit, at: Any) -> None:
    """R149, contract: times are ISO 8601 UTC with Z, in the trail too."""
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P3")["id"])
    desk("senior-devops").decide(number, "technical")
    desk("devops").decide(number, "sign_off")
    booked = said(desk, number, "change.schedule")
    assert (booked["start"], booked["end"]) == ("2026-10-06T02:00:00Z", "2026-10-06T02:45:00Z")
    desk("devops").post(f"/changes/{number}/unschedule", {"reason": "Not yet"})
    assert said(desk, number, "change.unschedule")["slot"] == "2026-10-06T02:00:00Z"
