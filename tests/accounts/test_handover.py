"""Handing a duty over (issue 3 item 5, A3): said what is open, taken by who comes next, nobody off
duty in between.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Duty, Handover, User
from audit.models import Event
from notifications.models import Message
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]
PAGE = "/settings/duties/"


def browser(username: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(username=username))
    return client


def on_call() -> list[str]:
    return list(
        Duty.objects.current().filter(kind="on-call").values_list("user__username", flat=True)
    )


@pytest.fixture
def second(db: None) -> str:
    """Another on-call engineer."""
    User.objects.get(username="devops2").groups.add(Group.objects.get(name="on-call-engineer"))
    return "devops2"


def offer(by: str, to: str, expect: int = 302, note: str = "The replay job is paused") -> str:
    duty = Duty.objects.current().get(kind="on-call")
    answer = browser(by).post(PAGE, {"hand_over": duty.pk, "to": to, "note": note})
    assert answer.status_code == expect, answer.content.decode()[:1000]
    return answer.content.decode()


def test_it_is_offered_taken_and_the_giver_is_off(desk: Sit, at: Any, second: str) -> None:
    """Until it is taken the giver stays on duty; the receiver reads what is open and which changes
    run; both are told; the trail has it.
    """
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P0")["id"])
    offer("oncall", second)
    assert on_call() == ["oncall"]
    told = Message.objects.get(kind="handover")
    assert (told.recipient.username, number in told.body, "replay job" in told.body) == (
        second,
        True,
        True,
    )
    assert "hands the duty over to you" in browser(second).get("/").content.decode()
    at("2026-10-01T09:10Z")
    key = Handover.objects.get().pk
    assert browser(second).post(PAGE, {"take": key}).status_code == 302
    assert on_call() == [second]
    assert Message.objects.get(kind="handover_answered").recipient.username == "oncall"
    assert Event.objects.get(action="duty.handover").actor.username == second
    assert browser(second).post(PAGE, {"take": key}).status_code == 409
    desk(second).decide(number, "emergency", on_behalf_of="cto")


def test_declined_it_stays(desk: Sit, at: Any, second: str) -> None:
    """A reason is asked for; the giver stays on duty, and may offer it again."""
    at("2026-10-01T09:00Z")
    offer("oncall", second)
    assert browser(second).post(PAGE, {"decline": Handover.objects.get().pk}).status_code == 422
    assert (
        browser(second)
        .post(PAGE, {"decline": Handover.objects.get().pk, "reason": "I am on a plane"})
        .status_code
        == 302
    )
    assert "plane" in Message.objects.get(kind="handover_answered").body
    assert on_call() == ["oncall"]
    offer("oncall", second)


def test_who_may_offer_and_take(desk: Sit, at: Any, second: str) -> None:
    """Not a duty of somebody else, not to who does not hold the role, not twice, not by who was not
    asked; typed text is kept.
    """
    at("2026-10-01T09:00Z")
    offer("devops", second, expect=403)
    offer("auditor", second, expect=403)
    assert "choose somebody who holds the role" in offer("oncall", "engineer", expect=422)
    assert "The replay job" in offer("oncall", "oncall", expect=422)
    offer("oncall", second, expect=422, note=" ")
    offer("change-manager", second)
    offer("oncall", second, expect=409)
    key = Handover.objects.get().pk
    for name in ("devops", "oncall", "admin"):
        assert browser(name).post(PAGE, {"take": key}).status_code == 403
    User.objects.get(username=second).groups.remove(Group.objects.get(name="on-call-engineer"))
    assert browser(second).post(PAGE, {"take": key}).status_code == 403
    assert browser("oncall").post(PAGE, {"take": "x"}).status_code == 404
    assert on_call() == ["oncall"]


def test_an_offer_is_seen_and_withdrawn(desk: Sit, at: Any, second: str) -> None:
    """The page says to whom it is offered; whoever could offer it withdraws it, the person asked is
    told; the same statements for many duties.
    """
    at("2026-10-01T09:00Z")
    offer("oncall", second)
    key = Handover.objects.get().pk
    assert "Offered to Yuki Tanaka" in browser("oncall").get(PAGE).content.decode()
    assert browser("devops").post(PAGE, {"withdraw": key}).status_code == 403
    assert browser("oncall").post(PAGE, {"withdraw": key}).status_code == 302
    assert browser("oncall").post(PAGE, {"withdraw": key}).status_code == 409
    assert Message.objects.get(kind="handover_withdrawn").recipient.username == second
    assert on_call() == ["oncall"]
    manager = browser("change-manager")

    def statements() -> int:
        manager.get(PAGE)
        with CaptureQueriesContext(connection) as queries:
            assert manager.get(PAGE).status_code == 200
        return len(queries)

    few = statements()
    for order in range(2, 12):
        Duty.objects.create(
            kind="on-call",
            user=User.objects.get(username=second),
            order=order,
            starts_at=timezone.now(),
        )
    assert statements() == few
