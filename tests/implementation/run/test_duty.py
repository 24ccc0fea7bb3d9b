"""Before a signature bars somebody from the run it says so, and a booking warns when nobody is
there to start it (A37).
"""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest
from django.test import Client

from accounts.models import Duty, User
from tests.implementation.road import Sit

pytestmark = pytest.mark.django_db
BARS = "If you sign, you cannot run it; "


@pytest.fixture(autouse=True)
def october(at: Any) -> None:
    at("2026-10-01T09:00Z")


def browser(username: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(username=username))
    return client


def bar(username: str, number: str) -> str:
    """The action bar, or where somebody decides the whole page with the card."""
    html = unescape(browser(username).get(f"/changes/{number}/").content.decode())
    return html.split('id="next-step"')[1].split("</span>")[0] if 'id="next-step"' in html else html


def name(username: str) -> str:
    return str(User.objects.get(username=username))


def reviewed(desk: Sit, priority: str = "P3", **more: Any) -> str:
    number = str(desk("engineer").submit(priority, **more)["id"])
    desk("tech-lead").decide(number, "technical")
    if priority != "P3":
        desk("product-manager").decide(number, "business")
    return number


def on_duty(*usernames: str, since: str = "2026-01-01T00:00Z", until: str | None = None) -> None:
    Duty.objects.filter(kind=Duty.Kind.ON_CALL).delete()
    for order, username in enumerate(usernames):
        person = User.objects.get(username=username)
        Duty.objects.create(
            kind=Duty.Kind.ON_CALL, user=person, order=order, starts_at=since, ends_at=until
        )


def test_the_card_says_that_signing_bars_from_running(desk: Sit) -> None:
    """A37: on the change and on the card of the queue; with who is on duty at the window
    asked for.
    """
    number = reviewed(desk, requested_window={"start": "2026-10-06T02:00Z"})
    said = f"{BARS}on duty then: {name('oncall')}."
    assert said in bar("devops", number)
    step = next(step["id"] for step in desk("engineer").steps(number) if step["kind"] == "sign_off")
    assert said in unescape(browser("devops").get(f"/approvals/{step}/").content.decode())
    on_duty("devops2", "devops")
    assert f"{BARS}on duty then: {name('devops2')}." in bar("devops", number)
    on_duty("oncall", until="2026-10-06T01:00Z")
    assert f"{BARS}on duty then: nobody." in bar("devops", number)


def test_without_a_slot_it_names_who_is_on_call_now(desk: Sit) -> None:
    assert f"{BARS}on call now: {name('oncall')}." in bar("devops", reviewed(desk))


def test_it_is_said_only_where_it_is_so(desk: Sit) -> None:
    """A2: two sign-offs bar nobody; nor does a review; nor is whoever runs nothing told of it, or
    where another implements.
    """
    number = reviewed(desk, "P2")
    assert BARS not in bar("devops-lead", number)
    review = str(desk("engineer").submit("P3")["id"])
    assert BARS not in bar("senior-devops", review)
    assert BARS not in bar("devops", reviewed(desk, implementer="devops2"))
    assert BARS in bar("devops", reviewed(desk, implementer="devops"))


def test_what_it_says_is_so(desk: Sit, at: Any) -> None:
    """A37: the signer is refused, and who was named as on duty starts it."""
    number = reviewed(desk, requested_window={"start": "2026-10-06T02:00Z"})
    desk("devops").decide(number, "sign_off")
    at("2026-10-06T02:00Z")
    desk("oncall").tick_off(number, "pre")
    assert desk("devops").post(f"/changes/{number}/start", expect=403)["code"] == "only_approver"
    desk("oncall").post(f"/changes/{number}/start")


def approved(desk: Sit, **more: Any) -> str:
    number = reviewed(desk, "P2", **more)
    desk("eng-manager").decide(number, "sign_off")
    desk("devops-lead").decide(number, "sign_off")
    return number


def booked(number: str) -> str:
    client = browser("engineer")
    client.post(f"/changes/{number}/act/schedule", {"start": "2026-10-06T02:00Z"})
    return unescape(client.get(f"/changes/{number}/").content.decode())


NOBODY = (
    "Nobody who may start it is on duty then (Tue 6 Oct 2026, 02:00 UTC): name an implementer, or"
    " see to the on-call duty."
)


@pytest.mark.parametrize(
    ("until", "warned"), [("2026-10-06T02:00Z", True), ("2026-10-06T02:00:01Z", False)]
)
def test_a_booking_warns_when_nobody_is_on_duty(desk: Sit, until: str, warned: bool) -> None:
    """A37: at the slot's instant, one second either side; said with the booking, and as long as it
    stands.
    """
    number = approved(desk)
    on_duty("oncall", until=until)
    assert booked(number).count(NOBODY) == (2 if warned else 0)
    assert (NOBODY in bar("engineer2", number)) == warned


def test_who_is_on_duty_and_may_not_start_it_does_not_count(desk: Sit) -> None:
    """A37: who overrode a conflict for it is on duty, and it is as if nobody were."""
    first, number = approved(desk, components=["cdn"]), approved(desk, components=["cdn"])
    booked(first)
    overriding = User.objects.get(username="change-manager")
    overriding.groups.add(*User.objects.get(username="devops").groups.all())
    on_duty("change-manager")
    body = {"start": "2026-10-06T02:00Z", "override_reason": "They touch other edges"}
    desk("change-manager").post(f"/changes/{number}/schedule", body)
    assert NOBODY in bar("engineer2", number)
    on_duty("change-manager", "oncall")
    assert NOBODY not in bar("engineer2", number)


def test_a_named_implementer_is_there(desk: Sit) -> None:
    number = approved(desk, implementer="devops")
    on_duty()
    assert "Nobody who may start" not in booked(number)
