"""No stuck work: reminded, escalated, a window that passes is said, and it can be seen who is
blocking what (issue 3 item 8, promise 5).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from approvals.models import Step
from approvals.people import delegations
from approvals.rounds import reminders
from audit.models import Event
from changemgmt.tick import tick
from notifications.models import Message
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]


def told(kind: str) -> set[str]:
    return set(Message.objects.filter(kind=kind).values_list("recipient__username", flat=True))


def waiting() -> list[int]:
    """How much the duty found to do, twice over: everything is done once."""
    return [tick()["approvals_waiting"], tick()["approvals_waiting"]]


def test_a_step_that_waits_is_reminded_of_once_and_then_escalated_once(desk: Sit, at: Any) -> None:
    """A day without a slot near: those who could still decide; three days: change managers and
    requester, who could decide named.
    """
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P2")["id"])
    desk("product-manager").decide(number, "business")
    at("2026-10-02T08:59Z")
    assert waiting() == [0, 0]
    at("2026-10-02T09:00Z")
    assert waiting() == [1, 0]
    assert told("approval_reminder") == {"tech-lead", "senior-devops"}
    at("2026-10-04T09:00Z")
    assert waiting() == [1, 0]
    assert told("approval_stuck") == {"engineer", "change-manager"}
    assert "Grace Lindqvist" in Message.objects.filter(kind="approval_stuck").first().body  # type: ignore[union-attr]
    desk("tech-lead").decide(number, "technical")
    at("2026-10-04T20:00Z")
    assert waiting() == [0, 0], "the sign-off has waited eleven hours only"
    actions = Event.objects.filter(action__in=["approval.remind", "approval.escalate"]).values_list(
        "action", flat=True
    )
    assert sorted(actions) == ["approval.escalate", "approval.remind"]


def test_after_days_without_a_worker_everything_is_said_once(desk: Sit, at: Any) -> None:
    """Promise 5: reminder and escalation of both open steps, in one tick, not in a burst of
    repetitions.
    """
    at("2026-10-01T09:00Z")
    desk("engineer").submit("P2")
    at("2026-10-09T09:00Z")
    assert waiting() == [4, 0]
    assert (
        Message.objects.filter(kind="approval_reminder").count() == 4
    )  # two reviewers of each of the two reviews


def test_a_near_window_makes_it_urgent_and_its_passing_is_said(desk: Sit, at: Any) -> None:
    """The window asked for opens in 40 hours: reminded after four, and the mail says until when a
    decision keeps it; then it passes.
    """
    at("2026-10-04T10:00Z")
    number = str(
        desk("engineer").submit(
            "P2", requested_date="2026-10-06", requested_window={"start": "2026-10-06T02:00Z"}
        )["id"]
    )
    at("2026-10-04T14:00Z")
    assert waiting() == [2, 0]
    body = Message.objects.filter(kind="approval_reminder").first().body  # type: ignore[union-attr]
    assert "Decide by Mon 5 Oct 2026, 02:00 UTC" in body
    at("2026-10-06T02:00Z")
    assert waiting() == [3, 0], "the window has passed, and both reviews are stuck"
    assert told("window_passed") == {
        "engineer",
        "tech-lead",
        "senior-devops",
        "product-manager",
        "eng-manager",
    }
    version = desk("engineer").get(f"/changes/{number}")["version"]
    desk("engineer").patch(
        f"/changes/{number}",
        {"version": version, "requested_window": {"start": "2026-10-08T02:00Z"}},
    )
    at("2026-10-08T02:00Z")
    assert waiting()[0] >= 1
    assert Event.objects.filter(action="approval.window_passed").count() == 2, (
        "said of the new window too"
    )


def test_an_emergency_is_not_reminded_of_but_its_owed_reviews_are(desk: Sit, at: Any) -> None:
    """A3, A13: its authorisation calls the next contact; its deferred reviews are due in a day, and
    are reminded of after twelve hours.
    """
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P0")["id"])
    at("2026-10-04T09:00Z")
    assert tick()["approvals_waiting"] == 0
    desk("cto").decide(number, "emergency")
    desk("oncall").post(f"/changes/{number}/start")
    desk("oncall").post(f"/changes/{number}/fail", {"reason": "It did not help"})
    at("2026-10-04T21:00Z")
    assert waiting() == [2, 0]
    at("2026-10-05T09:00Z")
    assert waiting() == [2, 0]


def test_who_is_blocking_what(desk: Sit, at: Any) -> None:
    """Issue 3 item 8: the longest wait first, with the names of who could give it, authors left
    out; the same statements for one and for many.
    """
    at("2026-10-01T09:00Z")
    first = str(desk("tech-lead").submit("P2")["id"])
    at("2026-10-02T09:00Z")
    desk("engineer").submit(
        "P2", requested_date="2026-10-05", requested_window={"start": "2026-10-06T02:00Z"}
    )
    client = Client()
    client.force_login(User.objects.get(username="change-manager"))

    def page() -> tuple[str, int]:
        with CaptureQueriesContext(connection) as queries:
            answer = client.get("/approvals/waiting/")
        assert answer.status_code == 200
        return answer.content.decode(), len(queries)

    page()
    html, few = page()
    rows = html.split("data-row")[1:]
    assert len(rows) == 4
    assert first in rows[0]
    assert "Sade Okafor" in rows[0]
    assert "Grace Lindqvist" not in rows[0] + rows[1], "whoever requested it could not"
    assert "Sun 4 Oct 09:00" in rows[2], (
        "the policy's two days end before the window asked for needs it"
    )
    for _ in range(12):
        desk("engineer").submit("P2", requested_date="2026-10-05")
    many_html, many = page()
    assert many == few
    assert 'rel="next"' not in many_html
    for _ in range(3):
        desk("engineer").submit("P2", requested_date="2026-10-05")
    cursor = page()[0].split('href="?after=')[1].split('"')[0]
    following = client.get(f"/approvals/waiting/?after={cursor}")
    assert following.content.decode().count("data-row") == 4
    assert client.get("/approvals/waiting/?after=nonsense").status_code == 422
    client.force_login(User.objects.get(username="engineer"))
    assert client.get("/approvals/waiting/").status_code == 403


def test_only_who_could_bring_it_further_blocks_it(desk: Sit, at: Any) -> None:
    """A2: whose part of a sign-off is given, or who has decided in the stage, is not named; whoever
    stands in for somebody is.
    """
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P2")["id"])
    desk("tech-lead").decide(number, "technical")
    desk("product-manager").decide(number, "business")
    desk("devops-lead").decide(number, "sign_off")
    step = Step.objects.get(change__number=number, state="open")
    assert reminders.blockers([step])[step.pk] == ["Marcus Hale"]
    manager, cto = (User.objects.get(username=name) for name in ("eng-manager", "cto"))
    delegations.delegate(
        actor=manager,
        receiver="cto",
        starts_at=timezone.now(),
        ends_at=timezone.now() + timedelta(days=2),
    )
    step = Step.objects.get(pk=step.pk)
    assert reminders.blockers([step])[step.pk] == [f"Marcus Hale (or {cto})"]
