"""Who is told what, and what is not said any more once it is no longer true (issue 2 item
10, F12).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from changemgmt.tick import tick
from notifications.models import Message
from tests.world import Desk
from windows.models import MaintenanceWindow

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]
SIGNED = (
    ("tech-lead", "technical"),
    ("product-manager", "business"),
    ("eng-manager", "sign_off"),
    ("devops-lead", "sign_off"),
)


def due(kind: str) -> set[str]:
    return set(
        Message.objects.filter(kind=kind, state="due").values_list("recipient__username", flat=True)
    )


def approved(desk: Sit, **more: Any) -> str:
    number = str(desk("engineer").submit("P2", **more)["id"])
    for who, kind in SIGNED:
        desk(who).decide(number, kind)
    return number


def test_a_settled_step_asks_nobody_any_more(desk: Sit, at: Any) -> None:
    """F12: the technical review is given; its other reviewers are not mailed, those of the business
    review still are.
    """
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P2")["id"])
    assert {"senior-devops", "tech-lead", "product-manager"} <= due("approval_waiting")
    desk("tech-lead").decide(number, "technical")
    assert "senior-devops" not in due("approval_waiting")
    assert "product-manager" in due("approval_waiting")


@pytest.mark.parametrize("ending", ["unschedule", "cancel", "edit", "escalate", "missed"])
def test_a_slot_that_is_gone_is_not_announced(desk: Sit, at: Any, ending: str) -> None:
    """F12: the mail server was away while the slot was given up; the booking is not told
    afterwards.
    """
    at("2026-10-01T09:00Z")
    number = approved(desk, requested_window={"start": "2026-10-06T02:00Z"})
    assert due("booked") == {"engineer"}
    engineer = desk("engineer")
    if ending in ("unschedule", "cancel"):
        engineer.post(f"/changes/{number}/{ending}", {"reason": "Not now"})
    elif ending == "edit":
        engineer.patch(
            f"/changes/{number}",
            {"version": engineer.get(f"/changes/{number}")["version"], "summary": "Another"},
        )
    elif ending == "escalate":
        body = {"reason": "It is down", "emergency_kind": "outage", "emergency_reference": "INC-1"}
        engineer.post(f"/changes/{number}/escalate", body)
    else:
        at("2026-10-06T04:00Z")
        Message.objects.filter(kind="booked").update(due_at="2026-10-07T00:00Z")
        assert tick()["missed_slots"] == 1
    assert due("booked") == set()


def test_a_cancelled_change_tells_those_who_worked_on_it(desk: Sit, at: Any) -> None:
    """Issue 2 item 10: requester, implementer and deciders; not whoever cancelled it."""
    at("2026-10-01T09:00Z")
    number = approved(desk, implementer="devops")
    desk("change-manager").post(
        f"/changes/{number}/cancel", {"reason": "The supplier stops the service"}
    )
    assert due("cancelled") == {
        "engineer",
        "devops",
        "tech-lead",
        "product-manager",
        "eng-manager",
        "devops-lead",
    }
    assert "The supplier stops" in Message.objects.filter(kind="cancelled").first().body  # type: ignore[union-attr]


def test_a_p3_without_a_slot_is_told_and_tried_again(desk: Sit, at: Any) -> None:
    """A7: no stretch is long enough for the plan; its requester is told why, and a day later it is
    looked for again.
    """
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P3", estimated_minutes=110, rollback_minutes=30)["id"])
    desk("senior-devops").decide(number, "technical")
    desk("devops").decide(number, "sign_off")
    assert due("no_slot") == {"engineer"}
    assert tick()["unbooked"] == 0
    MaintenanceWindow.objects.filter(name="Secondary").update(minutes=180)
    at("2026-10-02T09:00Z")
    assert tick()["unbooked"] == 1
    assert desk("engineer").get(f"/changes/{number}")["slot"]["start"] == "2026-10-08T02:00:00Z"


def test_a_p3_that_somebody_took_in_hand_is_left_alone(desk: Sit, at: Any) -> None:
    """A7: its slot was given up by a person; the clock does not book another."""
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P3")["id"])
    desk("senior-devops").decide(number, "technical")
    desk("devops").decide(number, "sign_off")
    desk("engineer").post(f"/changes/{number}/unschedule", {"reason": "Waiting for the supplier"})
    at("2026-10-05T09:00Z")
    assert tick()["unbooked"] == 0
    assert desk("engineer").get(f"/changes/{number}")["state"] == "approved"
