"""What the documents ask of the trail's events and the product does not do yet."""

from __future__ import annotations

import re
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


def test_a_verdicts_event_holds_digests_of_its_words(desk: Sit, at: Any) -> None:
    """A41, R148: comment and checklist answers are bound into the trail, not written out in it."""
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P2")["id"])
    desk("tech-lead").decide(number, "technical", comment="The interval is right.")
    data = said(desk, number, "approval.decide")
    assert "The interval is right." not in str(data)
    del data["content_hash"]
    assert re.search("[0-9a-f]{64}", str(data))
