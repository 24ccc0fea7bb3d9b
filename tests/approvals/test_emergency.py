"""Emergencies: deputies called in their order, and the start before anybody answered (A3, A4, R2-R4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.models import Duty, User
from approvals.models import Policy, Step
from audit.models import Event
from changemgmt.tick import tick
from notifications.models import Message
from requests.models import ChangeRequest
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]


def asked() -> list[str]:
    """Everybody who has been told that the authorisation waits, in the order in which they were."""
    return list(Message.objects.filter(kind="approval_waiting").order_by("id").values_list("recipient__username", flat=True))


def test_the_next_contact_is_called_every_five_minutes(desk: Sit, at: Any) -> None:
    """A3: first the first on duty (and the CTO); then the next in order, nobody twice; each call has its event; an answer ends it."""
    at("2026-10-01T02:00Z")
    for order, username in ((2, "senior-devops"), (3, "devops-lead")):
        person = User.objects.get(username=username)
        person.groups.add(*User.objects.get(username="emergency-contact").groups.all())
        Duty.objects.create(kind="emergency-contact", user=person, order=order, starts_at="2026-01-01T00:00Z")
    number = str(desk("engineer").submit("P0")["id"])
    assert sorted(asked()) == ["cto", "emergency-contact"]
    assert tick()["deputies"] == 0
    at("2026-10-01T02:05Z")
    assert [tick()["deputies"], tick()["deputies"]] == [1, 0]
    assert asked()[2:] == ["senior-devops"]
    at("2026-10-01T02:25Z")  # after a downtime: whoever is due by now, once
    assert tick()["deputies"] == 1
    assert asked()[3:] == ["devops-lead"]
    assert Event.objects.filter(action="approval.call_next").count() == 2
    Desk(User.objects.get(username="senior-devops")).decide(number, "emergency")
    other = str(desk("engineer").submit("P0")["id"])
    desk("cto").decide(other, "emergency")
    at("2026-10-01T03:25Z")
    assert tick()["deputies"] == 0


def start_before(desk: Sit, at: Any, settings: Any) -> str:
    settings.P0_STARTS_BEFORE_AUTHORISATION = True
    at("2026-10-01T02:00Z")
    number = str(desk("engineer").submit("P0")["id"])
    assert desk("oncall").get(f"/gate/{number}")["allow"] is True
    assert {item["name"]: item["allowed"] for item in desk("oncall").get(f"/changes/{number}/actions")["items"]}["start"] is True
    started = desk("oncall").post(f"/changes/{number}/start")
    assert started["state"] == "implementing"
    return number


def step_of(desk: Sit, number: str) -> int:
    return int(next(step["id"] for step in desk("cto").steps(number) if step["kind"] == "emergency"))


def test_without_the_setting_nothing_starts_before_it_is_authorised(desk: Sit, at: Any) -> None:
    """A4: off by default; planned changes never."""
    at("2026-10-01T02:00Z")
    number = str(desk("engineer").submit("P0")["id"])
    assert desk("oncall").post(f"/changes/{number}/start", expect=409)["code"] == "state"
    desk("cto").post(f"/changes/{number}/steps/{step_of(desk, number)}/confirmation", {"answer": "ratified"}, expect=409)


def test_a_start_before_authorisation_is_ratified_and_reported(desk: Sit, at: Any, settings: Any) -> None:
    """A4: by whoever could have authorised it, by nobody else, once; it is owed until then, and the report names it."""
    number = start_before(desk, at, settings)
    planned = str(desk("engineer").submit("P2")["id"])
    desk("devops").post(f"/changes/{planned}/start", expect=409)
    assert {"cto", "emergency-contact", "change-manager"} <= set(
        Message.objects.filter(kind="started_before").values_list("recipient__username", flat=True)
    )
    path = f"/changes/{number}/steps/{step_of(desk, number)}/confirmation"
    assert [item["change"] for item in desk("cto").get("/approvals")["items"]] == [number]
    for stranger in ("oncall", "devops", "change-manager", "engineer"):
        desk(stranger).post(path, {"answer": "ratified"}, expect=403)
    desk("cto").decide(number, "emergency", expect=409)
    client = Client()
    client.force_login(User.objects.get(username="cto"))
    assert "started before anybody authorised it" in client.get(f"/changes/{number}/").content.decode()
    assert "Ratify or not" in client.get("/approvals/").content.decode()
    desk("oncall").post(f"/changes/{number}/fail", {"reason": "It did not help"})
    owed = desk("change-manager").post(f"/changes/{number}/close", expect=409)["reasons"]
    assert "ratification" in [reason["code"] for reason in owed]
    step_of_cto = int(next(step["id"] for step in desk("cto").steps(number) if step["kind"] == "emergency"))
    assert client.post(f"/changes/{number}/act/ratify", {"step": step_of_cto, "answer": "ratified"}).status_code == 302
    desk("emergency-contact").post(path, {"answer": "not_ratified"}, expect=409)
    owed = desk("change-manager").post(f"/changes/{number}/close", expect=409)["reasons"]
    assert "ratification" not in [reason["code"] for reason in owed]
    report = desk("manager").get("/reports/monthly/2026-10")
    assert report["exceptions"]["unauthorised_starts"] == 1
    assert Event.objects.get(action="approval.ratify").data["answer"] == "ratified"


def test_a_start_that_is_not_ratified_alerts_and_one_unanswered_is_escalated(desk: Sit, at: Any, settings: Any) -> None:
    """A4: “not ratified” changes nothing of the run; no answer within 24 hours is told once, also after days without a worker."""
    first, second = start_before(desk, at, settings), start_before(desk, at, settings)
    desk("cto").post(f"/changes/{first}/steps/{step_of(desk, first)}/confirmation", {"answer": "not_ratified"})
    assert desk("oncall").get(f"/changes/{first}")["state"] == "implementing"
    assert "did not ratify" in Message.objects.filter(kind="ratification").latest("id").subject
    at("2026-10-02T01:59Z")
    assert tick()["overdue_ratifications"] == 0
    at("2026-10-05T02:00Z")
    assert [tick()["overdue_ratifications"], tick()["overdue_ratifications"]] == [1, 0]
    overdue = Event.objects.get(action="approval.ratification_overdue")
    assert overdue.change_id == ChangeRequest.objects.get(number=second).pk
    desk("cto").post(f"/changes/{second}/steps/{step_of(desk, second)}/confirmation", {"answer": "ratified"})
    assert Event.objects.filter(action="approval.ratify").latest("id").data["late"] is True
    desk("cto").post(f"/changes/{second}/steps/{step_of(desk, second)}/confirmation", {"answer": "maybe"}, expect=422)


def test_whoever_requested_it_ratifies_nothing(desk: Sit, at: Any, settings: Any) -> None:
    """Promise 1: a CTO who requested the emergency does not say that its start was right."""
    settings.P0_STARTS_BEFORE_AUTHORISATION = True
    at("2026-10-01T02:00Z")
    number = str(desk("cto").submit("P0")["id"])
    desk("oncall").post(f"/changes/{number}/start")
    refusal = desk("cto").post(f"/changes/{number}/steps/{step_of(desk, number)}/confirmation", {"answer": "ratified"}, expect=403)
    assert refusal["code"] == "own_change"


def test_a_half_given_review_does_not_count_after_an_escalation(desk: Sit, at: Any) -> None:
    """A2: the policy asks two technical reviewers, one of whom approved before it became a P0: the review is still owed afterwards."""
    at("2026-10-01T09:00Z")
    rules = Policy.objects.get().rules
    rules["P2"]["stages"][0][0]["needed"] = 2
    Policy.objects.update(rules=rules)
    number = str(desk("engineer").submit("P2")["id"])
    desk("tech-lead").decide(number, "technical")
    desk("product-manager").decide(number, "business")
    desk("engineer").post(f"/changes/{number}/escalate", {"reason": "Down", "emergency_kind": "outage", "emergency_reference": "INC-1"})
    desk("cto").decide(number, "emergency")
    desk("oncall").post(f"/changes/{number}/start")
    desk("oncall").post(f"/changes/{number}/fail", {"reason": "It did not help"})
    assert set(Step.objects.filter(change__number=number, deferred=True).values_list("kind", flat=True)) == {"technical"}
