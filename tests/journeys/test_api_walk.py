"""The straight roads, quickly, in one process; the same stories with a real worker stand beside
this file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from changemgmt.tick import tick
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]


def approve_p2(desk: Sit, number: str) -> None:
    desk("tech-lead").decide(number, "technical")
    desk("product-manager").decide(number, "business")
    desk("eng-manager").decide(number, "sign_off")
    desk("devops-lead").decide(number, "sign_off")


def test_a_p2_walks_from_form_to_closed_in_the_tuesday_window(desk: Sit, at: Any) -> None:
    """R7, R8, R147: two reviews, two sign-offs, a booked window, a checklist, a review."""
    at("2026-10-01T09:00Z")
    number = desk("engineer").submit("P2", requested_window={"start": "2026-10-06T02:00Z"})["id"]
    assert number.startswith("CR-2026-10-01-")
    approve_p2(desk, number)
    change = desk("engineer").get(f"/changes/{number}")
    assert change["state"] == "scheduled"
    assert change["slot"] == {
        "start": "2026-10-06T02:00:00Z",
        "end": "2026-10-06T02:45:00Z",
        "window": {
            "name": "Primary",
            "start": "2026-10-06T02:00:00Z",
            "end": "2026-10-06T04:00:00Z",
        },
    }
    devops = desk("devops")
    refusal = devops.post(f"/changes/{number}/start", expect=409)
    assert refusal["reasons"][0]["next_allowed_at"] == "2026-10-06T02:00:00Z"
    at("2026-10-06T02:00Z")
    assert devops.get(f"/gate/{number}")["allow"] is False, (
        "the checklist before the window is not settled"
    )
    devops.tick_off(number, "pre")
    assert devops.get(f"/gate/{number}") == {
        "allow": True,
        "reasons": [],
        "next_allowed_at": "2026-10-06T02:00:00Z",
        "until": "2026-10-06T04:00:00Z",
    }
    assert devops.post(f"/changes/{number}/start")["state"] == "implementing"
    devops.post(f"/changes/{number}/finish", expect=409)
    devops.tick_off(number, "start", "during")
    at("2026-10-06T02:30Z")
    assert devops.post(f"/changes/{number}/finish")["state"] == "verifying"
    devops.tick_off(number, "post")
    assert "monitoring" in [
        r["code"] for r in devops.post(f"/changes/{number}/complete", expect=409)["reasons"]
    ]
    at("2026-10-06T03:00Z")
    assert devops.post(f"/changes/{number}/complete")["state"] == "completed"
    devops.put(
        f"/changes/{number}/review",
        {"summary": "As planned.", "lessons": "The night is calm at 02:00."},
    )
    assert devops.get(f"/changes/{number}")["state"] == "closed"
    report = desk("manager").get("/reports/monthly/2026-10.json")
    assert (report["total"], report["successful"], report["by_priority"]["P2"]) == (
        1,
        {"count": 1, "percent": 100.0},
        1,
    )
    assert report["average_implementation_minutes"] == 60.0
    assert report["lessons"] == ["The night is calm at 02:00."]


def test_a_p0_on_black_friday(desk: Sit, at: Any) -> None:
    """R74, R77, A13: authorised by the emergency contact, started inside the blackout, documented
    and reviewed within 24 h.
    """
    at("2026-11-27T14:00Z")
    oncall = desk("oncall")
    change = oncall.post(
        "/changes",
        {
            "priority": "P0",
            "summary": "Checkout answers 502",
            "reason": "No orders since 13:55.",
            "components": ["checkout"],
            "risk": "high",
            "implementation_steps": "Restart the gateway",
            "rollback_plan": "Switch back to the old pool",
            "emergency_kind": "outage",
            "emergency_reference": "INC-1",
            "affects_authentication": False,
            "affects_authorization": False,
            "affects_data_access": False,
            "affects_network": False,
        },
        expect=201,
    )
    number = change["id"]
    oncall.post(f"/changes/{number}/submit")
    desk("cto").get(f"/changes/{number}/actions")
    desk("emergency-contact").decide(number, "emergency")
    assert oncall.post(f"/changes/{number}/start")["state"] == "implementing"
    at("2026-11-27T14:20Z")
    oncall.tick_off(number, "start", "during")
    oncall.post(f"/changes/{number}/finish")
    oncall.tick_off(number, "post")
    oncall.post(
        f"/changes/{number}/complete",
        {"reason": "The shop takes orders again; watched by the whole team."},
    )
    oncall.put(
        f"/changes/{number}/review",
        {
            "summary": "Gateway pool exhausted.",
            "lessons": "Alert on pool use.",
            "runbook_updated": True,
        },
    )
    desk("cto").post(f"/changes/{number}/review/confirmation", {"p0_justified": True})
    owed = oncall.put(
        f"/changes/{number}/documentation",
        {
            "rollback_tested": {"what": "switch", "where": "staging", "when": "2026-11-27"},
            "rollback_minutes": 5,
            "testing_plan": "Place an order",
            "dependencies": "none",
            "downtime_required": False,
            "user_impact": "Orders failed for 25 minutes",
            "performance_impact": "none",
            "security_impact": "none",
            "requested_date": "2026-11-27",
            "estimated_minutes": 20,
        },
    )
    assert owed["owed"] == []
    assert oncall.get(f"/changes/{number}")["state"] == "completed"
    desk("tech-lead").decide(number, "technical")
    desk("product-manager").decide(number, "business")
    assert oncall.get(f"/changes/{number}")["state"] == "closed", oncall.get(
        f"/changes/{number}/steps"
    )


def test_a_p3_books_itself_and_is_booked_again_when_missed(desk: Sit, at: Any) -> None:
    """R11, R12, A7: one DevOps engineer signs off; the earliest window at least 24 h ahead; a
    missed slot is booked again once.
    """
    at("2026-10-05T10:00Z")
    number = desk("engineer").submit("P3", requested_date="2026-10-06")["id"]
    desk("senior-devops").decide(number, "technical")
    desk("devops").decide(number, "sign_off")
    assert desk("engineer").get(f"/changes/{number}")["slot"]["start"] == "2026-10-08T02:00:00Z"
    at("2026-10-08T04:00Z")
    assert tick()["missed_slots"] == 1
    assert desk("engineer").get(f"/changes/{number}")["slot"]["start"] == "2026-10-13T02:00:00Z"
    at("2026-10-20T00:00Z")
    tick()
    change = desk("engineer").get(f"/changes/{number}")
    assert (change["state"], change["slot"]) == (
        "approved",
        None,
    ), "after two missed slots a person decides"


def test_a_p1_is_refused_in_the_code_freeze_with_the_right_next_start(desk: Sit, at: Any) -> None:
    """R75, A5, A6: the refusal names the freeze, its end and 5 January 2027."""
    at("2026-11-13T09:00Z")
    number = desk("engineer").submit("P1", requested_date="2026-11-16")["id"]
    approve_p2(desk, number)
    refusal = desk("devops").post(
        f"/changes/{number}/schedule", {"start": "2026-11-24T02:00Z"}, expect=409
    )
    assert refusal["reasons"][0]["code"] == "freeze"
    assert refusal["reasons"][0]["until"] == "2026-11-27T00:00:00Z"
    assert refusal["reasons"][0]["next_allowed_at"] == "2027-01-05T02:00:00Z"
    assert (
        desk("devops").get(f"/changes/{number}/slots?limit=1")["items"][0]["start"]
        == "2027-01-05T02:00:00Z"
    )


def test_an_edit_after_approval_must_be_approved_again(desk: Sit, at: Any) -> None:
    """Promise 1: content edits void decisions and release the booking."""
    at("2026-10-01T09:00Z")
    engineer = desk("engineer")
    number = engineer.submit("P2", requested_window={"start": "2026-10-06T02:00Z"})["id"]
    approve_p2(desk, number)
    change = engineer.get(f"/changes/{number}")
    edited = engineer.patch(
        f"/changes/{number}", {"version": change["version"], "rollback_plan": "Something else"}
    )
    assert (edited["state"], edited["slot"]) == ("in_review", None)
    assert {s["state"] for s in engineer.steps(number) if s["round"] == 1} == {"stale"}
    approve_p2(desk, number)
    assert engineer.get(f"/changes/{number}")["state"] == "scheduled"


def test_a_p1_that_touches_authentication_is_rolled_back(desk: Sit, at: Any) -> None:
    """R97, R119, R150: security reviews it; the rollback is never refused, and resolves the issues
    it answers.
    """
    at("2026-10-01T09:00Z")
    number = desk("engineer").submit(
        "P1", affects_authentication=True, requested_window={"start": "2026-10-08T02:00Z"}
    )["id"]
    desk("tech-lead").decide(number, "technical")
    desk("product-manager").decide(number, "business")
    desk("security").decide(number, "security")
    desk("devops-lead").decide(number, "sign_off")
    desk("eng-manager").decide(number, "sign_off")
    at("2026-10-08T02:00Z")
    devops = desk("devops")
    devops.tick_off(number, "pre")
    devops.post(f"/changes/{number}/start")
    at("2026-10-08T02:10Z")
    issue = devops.post(
        f"/changes/{number}/issues", {"severity": "P0", "summary": "Nobody can sign in"}, expect=201
    )
    assert (issue["prescribed_action"], issue["band_ends_at"]) == (
        "Immediate rollback",
        "2026-10-08T02:15:00Z",
    )
    devops.post(
        f"/changes/{number}/roll-back", {"reason": "Sign-in is down", "trigger": "critical"}
    )
    at("2026-10-08T02:30Z")
    devops.tick_off(number, "rollback")
    assert devops.post(f"/changes/{number}/finish-rollback")["state"] == "rolled_back"
    report = desk("manager").get("/reports/monthly/2026-10")
    assert (
        report["rolled_back"]["count"],
        report["mttr_minutes"],
        report["average_implementation_minutes"],
    ) == (1, 20.0, 30.0)
    at("2026-10-09T02:31Z")
    assert tick()["overdue_reviews"] == 1
    assert tick()["overdue_reviews"] == 0
    devops.put(
        f"/changes/{number}/review",
        {"summary": "The token format differed.", "runbook_updated": False},
    )
    desk("tech-lead").post(f"/changes/{number}/review/confirmation")
    assert devops.get(f"/changes/{number}")["state"] == "closed"
    report = desk("manager").get("/reports/monthly/2026-10")
    assert report["exceptions"]["review_overdue"] == 1
