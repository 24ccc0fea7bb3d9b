"""An edit that voids approvals keeps the booking as a hold on its slot until the round ends
(A35).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from requests.models import ChangeRequest
from tests.world import Desk
from windows.models import Booking

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]
SLOT = "2026-10-06T02:00:00Z"


@pytest.fixture(autouse=True)
def october(at: Any) -> None:
    at("2026-10-01T09:00Z")


def approve(desk: Sit, number: str) -> None:
    desk("tech-lead").decide(number, "technical")
    desk("product-manager").decide(number, "business")
    desk("eng-manager").decide(number, "sign_off")
    desk("devops-lead").decide(number, "sign_off")


def edited(desk: Sit, **edit: Any) -> str:
    """A P2 booked into the slot, and then edited by its requester."""
    me = desk("engineer")
    number = str(me.submit("P2", requested_window={"start": SLOT})["id"])
    approve(desk, number)
    found = me.get(f"/changes/{number}")
    assert found["slot"]["start"] == SLOT
    after = me.patch(
        f"/changes/{number}", {"version": found["version"], **(edit or {"reason": "Said better"})}
    )
    assert (after["state"], after["slot"]) == ("in_review", None)
    return number


def rival(desk: Sit, start: str = SLOT) -> str:
    """Another change on the same component that wants that start: its state when it is approved."""
    number = str(desk("engineer2").submit("P2", requested_window={"start": start})["id"])
    approve(desk, number)
    return str(ChangeRequest.objects.get(number=number).state)


def test_nobody_else_takes_the_slot_and_the_next_approval_books_it(desk: Sit) -> None:
    number = edited(desk)
    assert desk("engineer").get(f"/changes/{number}")["hold"] == {
        "start": SLOT,
        "end": "2026-10-06T02:45:00Z",
    }
    assert rival(desk) == "approved", "it is held"
    approve(desk, number)
    again = desk("engineer").get(f"/changes/{number}")
    assert (again["state"], again["slot"]["start"], again["hold"]) == ("scheduled", SLOT, None)


def test_the_other_is_told_who_holds_it(desk: Sit) -> None:
    number = edited(desk)
    other = str(desk("engineer2").submit("P2")["id"])
    approve(desk, other)
    refused = desk("devops").post(f"/changes/{other}/schedule", {"start": SLOT}, expect=409)
    assert refused["reasons"][0]["message"].startswith(f"Held by {number} on search, ")


def test_the_hold_follows_the_plan(desk: Sit) -> None:
    """A longer plan holds longer; one that grows into somebody else's slot holds nothing."""
    number = edited(desk, estimated_minutes=60)
    assert desk("engineer").get(f"/changes/{number}")["hold"]["end"] == "2026-10-06T03:15:00Z"
    assert rival(desk, "2026-10-06T03:15:00Z") == "scheduled"
    version = desk("engineer").get(f"/changes/{number}")["version"]
    desk("engineer").patch(f"/changes/{number}", {"version": version, "estimated_minutes": 61})
    assert desk("engineer").get(f"/changes/{number}")["hold"] is None
    assert not Booking.objects.filter(change__number=number).exists()


@pytest.mark.parametrize("ending", ["request_changes", "reject", "cancel", "escalate"])
def test_the_end_of_the_round_gives_it_free(desk: Sit, ending: str) -> None:
    number = edited(desk)
    if ending == "cancel":
        desk("engineer").post(f"/changes/{number}/cancel", {"reason": "Not needed"})
    elif ending == "escalate":
        emergency = {
            "reason": "It is down",
            "emergency_kind": "outage",
            "emergency_reference": "INC-1",
        }
        desk("engineer").post(f"/changes/{number}/escalate", emergency)
    else:
        desk("tech-lead").decide(number, "technical", ending, comment="No")
    assert desk("engineer").get(f"/changes/{number}")["hold"] is None
    assert rival(desk) == "scheduled"


def test_who_approved_before_says_still_right_with_one_click(desk: Sit) -> None:
    """A35: the card shows the difference alone; one click approves with the answers of before."""
    number = edited(desk, reason="Said much better")
    lead = desk("tech-lead")
    step = next(s["id"] for s in lead.steps(number) if s["kind"] == "technical" and s["round"] == 2)
    lead.client.force_login(lead.user)
    card = lead.client.get(f"/approvals/{step}/").content.decode()
    assert "Still right" in card
    assert "Said much better" in card
    version = lead.get(f"/changes/{number}")["version"]
    assert (
        lead.client.post(
            f"/approvals/{step}/", {"verdict": "still_right", "version": version}
        ).status_code
        == 302
    )
    given = next(s for s in lead.steps(number) if s["id"] == step)
    assert (given["state"], given["decisions"][0]["verdict"]) == ("approved", "approve")
    desk("senior-devops").client.force_login(desk("senior-devops").user)
    other = str(desk("engineer").submit("P2")["id"])
    fresh = next(s["id"] for s in lead.steps(other) if s["kind"] == "technical")
    assert "Still right" not in lead.client.get(f"/approvals/{fresh}/").content.decode()
    refused = lead.client.post(f"/approvals/{fresh}/", {"verdict": "still_right", "version": 1})
    assert refused.status_code == 422, "nothing was judged before: there are no answers to repeat"
