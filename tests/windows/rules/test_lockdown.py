"""A lockdown stops everything that is planned, keeps every slot, and lets go on what it held (issue
4, item 5; R74, A30).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from notifications.models import Message
from requests.models import ChangeRequest
from tests.windows.rules.test_rules import booked
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]


@pytest.fixture(autouse=True)
def october(at: Any) -> None:
    at("2026-10-01T09:00Z")


def test_a_lockdown_stops_everything_and_its_lifting_lets_it_go_on_where_it_was(
    desk: Sit, at: Any
) -> None:
    """Item 5, R74: the gate closes for booked and running changes, an emergency goes on, and
    afterwards all is as before.
    """
    running, held, other = (
        booked(desk),
        booked(desk, components=["cdn"]),
        booked(desk, "2026-10-08T02:00Z", components=["catalogue"]),
    )
    for number in (running, held):
        desk("devops").tick_off(number, "pre")
    at("2026-10-06T02:00Z")
    desk("devops").post(f"/changes/{running}/start")
    desk("engineer").post("/calendar/lockdowns", {"reason": "Card payments fail"}, expect=403)
    made = desk("change-manager").post(
        "/calendar/lockdowns", {"reason": "Card payments fail"}, expect=201
    )
    desk("change-manager").post("/calendar/lockdowns", {"reason": "Again"}, expect=409)
    for number in (running, held):
        gate = desk("devops").get(f"/gate/{number}")
        assert (gate["allow"], gate["reasons"][0]["code"]) == (False, "lockdown"), gate
    refused = desk("devops").post(f"/changes/{held}/start", expect=409)
    assert refused["detail"] == "P2 on Tue 6 Oct is inside the lockdown until it is lifted."
    assert desk("engineer").get("/calendar/state?priority=P0")["open"]
    assert desk("devops").get(f"/changes/{other}")["state"] == "scheduled", "bookings are kept"
    told = Message.objects.filter(kind="lockdown").values_list("recipient__username", flat=True)
    assert {"engineer", "devops", "change-manager"} <= set(told)
    at("2026-10-06T02:20Z")
    desk("change-manager").post(f"/calendar/lockdowns/{made['id']}/lift", {"reason": "Paid again"})
    desk("change-manager").post(
        f"/calendar/lockdowns/{made['id']}/lift", {"reason": "Paid again"}, expect=409
    )
    assert desk("devops").get(f"/gate/{running}")["allow"]
    desk("devops").post(f"/changes/{held}/start")


def test_a_lockdown_of_one_component_stops_no_other_and_never_a_rollback(
    desk: Sit, at: Any
) -> None:
    """Item 5, A30."""
    search, cdn = booked(desk), booked(desk, components=["cdn"])
    for number in (search, cdn):
        desk("devops").tick_off(number, "pre")
    at("2026-10-06T02:00Z")
    desk("devops").post(f"/changes/{search}/start")
    desk("change-manager").post(
        "/calendar/lockdowns", {"reason": "Index is wrong", "components": ["search"]}, expect=201
    )
    assert desk("devops").get(f"/gate/{cdn}")["allow"]
    assert not desk("devops").get(f"/gate/{search}")["allow"]
    desk("devops").post(
        f"/changes/{search}/roll-back", {"reason": "Wrong index", "trigger": "manual"}
    )


def test_whatever_a_lockdown_held_until_its_window_passed_is_not_its_fault(
    desk: Sit, at: Any
) -> None:
    """A7, item 5: the slot is freed, but counts as no missed one."""
    from changemgmt.tick import tick

    number = booked(desk)
    at("2026-10-06T01:59Z")
    desk("change-manager").post("/calendar/lockdowns", {"reason": "Card payments fail"}, expect=201)
    at("2026-10-06T04:30Z")
    tick()
    change = ChangeRequest.objects.get(number=number)
    assert (change.state, change.slots_missed) == ("approved", 0)
    message = Message.objects.get(kind="displaced", recipient__username="engineer")
    assert "The lockdown held it until its window ended Tue 6 Oct, 04:00 UTC." in message.body


def test_lockdowns_whose_names_read_alike_do_not_get_in_each_others_way(desk: Sit) -> None:
    """Item 5: what counts is the scope; a freeze that somebody called so does not stand in the way
    either.
    """
    named = {
        "name": "the lockdown",
        "kind": "freeze",
        "starts": "2026-10-20T00:00Z",
        "ends": "2026-10-21T00:00Z",
    }
    manager = desk("change-manager")
    manager.post(
        "/calendar/rules", {"edits": [{"kind": "closure", "values": named}], "reason": "A name"}
    )
    for scope in (
        ["cdn", "search", "checkout", "payments"],
        ["cdn", "search", "checkout", "accounts"],
        [],
    ):
        manager.post(
            "/calendar/lockdowns", {"reason": "Card payments fail", "components": scope}, expect=201
        )
        manager.post(
            "/calendar/lockdowns", {"reason": "Card payments fail", "components": scope}, expect=409
        )


def test_a_held_change_says_so_on_its_page(desk: Sit) -> None:
    """Item 7: its page says no less than the gate."""
    number = booked(desk)
    desk("change-manager").post(
        "/calendar/lockdowns", {"reason": "Index is wrong", "components": ["search"]}, expect=201
    )
    client = desk("engineer").client
    client.force_login(desk("engineer").user)
    assert "Held by the lockdown of search" in client.get(f"/changes/{number}/").content.decode()
