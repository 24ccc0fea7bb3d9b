"""Emergencies: deputies called in their order, and the start before anybody answered (A3, A4, R2,
R3, R4).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.models import Duty, User
from approvals.models import Policy, Step
from approvals.policy import check
from audit.models import Event
from changemgmt.tick import tick
from notifications.models import Message
from requests.models import ChangeRequest
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]


def asked() -> list[str]:
    """Everybody who has been told that the authorisation waits, in the order in which they were."""
    return list(
        Message.objects.filter(kind="approval_waiting")
        .order_by("id")
        .values_list("recipient__username", flat=True)
    )


def test_the_next_contact_is_called_every_five_minutes(desk: Sit, at: Any) -> None:
    """A3: first the first on duty (and the CTO); then the next in order, nobody twice; each call
    has its event; an answer ends it.
    """
    at("2026-10-01T02:00Z")
    for order, username in ((2, "senior-devops"), (3, "devops-lead")):
        person = User.objects.get(username=username)
        person.groups.add(*User.objects.get(username="emergency-contact").groups.all())
        Duty.objects.create(
            kind="emergency-contact", user=person, order=order, starts_at="2026-01-01T00:00Z"
        )
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


CALLED = {"reason": "Called the CTO at 01:50 and at 01:55, no answer"}


def start_before(desk: Sit, at: Any, requester: str = "engineer") -> str:
    at("2026-10-01T02:00Z")
    number = str(desk(requester).submit("P0")["id"])
    assert desk("oncall").get(f"/gate/{number}")["allow"] is False, (
        "a pipeline starts nothing that nobody has authorised"
    )
    assert {
        item["name"]: item["allowed"]
        for item in desk("oncall").get(f"/changes/{number}/actions")["items"]
    }["start"] is True
    refused = desk("oncall").post(f"/changes/{number}/start", expect=422)
    assert [error["field"] for error in refused["errors"]] == ["reason"]
    started = desk("oncall").post(f"/changes/{number}/start", CALLED)
    assert started["state"] == "implementing"
    return number


def step_of(desk: Sit, number: str) -> int:
    return int(
        next(step["id"] for step in desk("cto").steps(number) if step["kind"] == "emergency")
    )


def test_only_the_on_call_engineer_on_duty_starts_before_it_is_authorised(
    desk: Sit, at: Any
) -> None:
    """A33: on by default, also as requester; nobody else, not off duty, no planned change; the
    policy switches it off, which narrows.
    """
    assert start_before(desk, at, "oncall")
    number = str(desk("engineer").submit("P0")["id"])
    for other in ("devops", "senior-devops", "devops-lead"):
        refused = desk(other).post(f"/changes/{number}/start", CALLED, expect=409)
        assert "on-call engineer on duty" in refused["detail"]
    desk("cto").post(
        f"/changes/{number}/steps/{step_of(desk, number)}/confirmation",
        {"answer": "ratified"},
        expect=409,
    )
    Duty.objects.filter(kind="on-call").update(ends_at="2026-10-01T01:59Z")
    assert (
        desk("oncall").post(f"/changes/{number}/start", CALLED, expect=409)["code"]
        == "not_approved"
    )
    Duty.objects.filter(kind="on-call").update(ends_at=None)
    rules = Policy.objects.get().rules
    Policy.objects.update(rules=rules | {"P0": rules["P0"] | {"starts_before": False}})
    assert desk("oncall").post(f"/changes/{number}/start", CALLED, expect=409)["code"] == "state"
    assert [d.widens for d in check.compare(rules, Policy.objects.get().rules)] == [False]
    assert [d.widens for d in check.compare(Policy.objects.get().rules, rules)] == [True]


def test_cto_and_contact_are_paged_every_15_minutes_until_one_answers(desk: Sit, at: Any) -> None:
    """A33: at once, then at :15 and :30; after a pause once and not in a burst; an answer
    ends it.
    """
    number = start_before(desk, at)

    def paged() -> int:
        return Message.objects.filter(kind="ratify_again", recipient__username="cto").count()

    at("2026-10-01T02:14:59Z")
    tick()
    assert paged() == 0
    at("2026-10-01T02:15:00Z")
    tick(), tick()
    assert paged() == 1
    at("2026-10-01T02:30:00Z")
    tick()
    at("2026-10-01T06:00:00Z")
    tick(), tick()
    assert paged() == 3
    desk("emergency-contact").post(
        f"/changes/{number}/steps/{step_of(desk, number)}/confirmation", {"answer": "ratified"}
    )
    at("2026-10-01T06:15:00Z")
    tick()
    assert paged() == 3


def test_a_start_before_authorisation_is_ratified_and_reported(desk: Sit, at: Any) -> None:
    """A4: by whoever could have authorised it, by nobody else, once; it is owed until then, and the
    report names it.
    """
    number = start_before(desk, at)
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
    assert (
        "started before anybody authorised it" in client.get(f"/changes/{number}/").content.decode()
    )
    assert "Ratify or not" in client.get("/approvals/").content.decode()
    desk("oncall").post(f"/changes/{number}/fail", {"reason": "It did not help"})
    owed = desk("change-manager").post(f"/changes/{number}/close", expect=409)["reasons"]
    assert "ratification" in [reason["code"] for reason in owed]
    step_of_cto = int(
        next(step["id"] for step in desk("cto").steps(number) if step["kind"] == "emergency")
    )
    assert (
        client.post(
            f"/changes/{number}/act/ratify", {"step": step_of_cto, "answer": "ratified"}
        ).status_code
        == 302
    )
    desk("emergency-contact").post(path, {"answer": "not_ratified"}, expect=409)
    owed = desk("change-manager").post(f"/changes/{number}/close", expect=409)["reasons"]
    assert "ratification" not in [reason["code"] for reason in owed]
    report = desk("manager").get("/reports/monthly/2026-10")
    assert report["exceptions"]["unauthorised_starts"] == 1
    assert Event.objects.get(action="approval.ratify").data["answer"] == "ratified"


def test_a_start_that_is_not_ratified_alerts_and_one_unanswered_is_escalated(
    desk: Sit, at: Any
) -> None:
    """A4: “not ratified” changes nothing of the run; no answer within 24 hours is told once, also
    after days without a worker.
    """
    first, second = start_before(desk, at), start_before(desk, at)
    desk("cto").post(
        f"/changes/{first}/steps/{step_of(desk, first)}/confirmation", {"answer": "not_ratified"}
    )
    assert desk("oncall").get(f"/changes/{first}")["state"] == "implementing"
    assert "did not ratify" in Message.objects.filter(kind="ratification").latest("id").subject
    at("2026-10-02T01:59Z")
    assert tick()["overdue_ratifications"] == 0
    at("2026-10-05T02:00Z")
    assert [tick()["overdue_ratifications"], tick()["overdue_ratifications"]] == [1, 0]
    overdue = Event.objects.get(action="approval.ratification_overdue")
    assert overdue.change_id == ChangeRequest.objects.get(number=second).pk
    desk("cto").post(
        f"/changes/{second}/steps/{step_of(desk, second)}/confirmation", {"answer": "ratified"}
    )
    assert Event.objects.filter(action="approval.ratify").latest("id").data["late"] is True
    desk("cto").post(
        f"/changes/{second}/steps/{step_of(desk, second)}/confirmation",
        {"answer": "maybe"},
        expect=422,
    )


def test_whoever_requested_it_ratifies_nothing(desk: Sit, at: Any) -> None:
    """Promise 1: a CTO who requested the emergency does not say that its start was right."""
    at("2026-10-01T02:00Z")
    number = str(desk("cto").submit("P0")["id"])
    desk("oncall").post(f"/changes/{number}/start", CALLED)
    refusal = desk("cto").post(
        f"/changes/{number}/steps/{step_of(desk, number)}/confirmation",
        {"answer": "ratified"},
        expect=403,
    )
    assert refusal["code"] == "own_change"


def test_a_half_given_review_does_not_count_after_an_escalation(desk: Sit, at: Any) -> None:
    """A2: the policy asks two technical reviewers, one of whom approved before it became a P0: the
    review is still owed afterwards.
    """
    at("2026-10-01T09:00Z")
    rules = Policy.objects.get().rules
    rules["P2"]["stages"][0][0]["needed"] = 2
    Policy.objects.update(rules=rules)
    number = str(desk("engineer").submit("P2")["id"])
    desk("tech-lead").decide(number, "technical")
    desk("product-manager").decide(number, "business")
    desk("engineer").post(
        f"/changes/{number}/escalate",
        {"reason": "Down", "emergency_kind": "outage", "emergency_reference": "INC-1"},
    )
    desk("cto").decide(number, "emergency")
    desk("oncall").post(f"/changes/{number}/start")
    desk("oncall").post(f"/changes/{number}/fail", {"reason": "It did not help"})
    assert set(
        Step.objects.filter(change__number=number, deferred=True).values_list("kind", flat=True)
    ) == {"technical"}
