"""The freeze exception: asked for, granted by two, declined, taken back; it lifts what stood when it was asked for (A6, item 3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from notifications.models import Message
from tests.journeys.test_api_walk import approve_p2
from tests.windows.test_booking import book, codes
from tests.windows.test_pages import client_of
from tests.windows.test_rules import edit, freeze, save
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]
SLOT = "2026-11-17T02:00Z"


@pytest.fixture
def number(desk: Sit, at: Any) -> str:
    """An approved P1 that cannot wait until January."""
    at("2026-11-05T09:00Z")
    number = str(desk("engineer").submit("P1", requested_date="2026-11-06")["id"])
    approve_p2(desk, number)
    return number


def act(client: Client, number: str, verb: str, **values: str) -> Any:
    return client.post(f"/changes/{number}/act/{verb}", {"slot_start": SLOT, **values}, follow=True)


def grant(desk: Sit, number: str, *people: str) -> None:
    for who in people:
        desk(who).post(f"/changes/{number}/freeze-exception", {"slot_start": SLOT, "reason": "The law changes on the 20th."})


def told(kind: str) -> set[str]:
    return set(Message.objects.filter(kind=kind).values_list("recipient__username", flat=True))


def test_it_takes_cto_and_change_manager(desk: Sit, number: str) -> None:
    """A6: two people, one slot, a code freeze only; an edit ends it."""
    ask = {"slot_start": SLOT, "reason": "The law changes on the 20th."}
    book(desk, number, SLOT, 409)
    desk("engineer").post(f"/changes/{number}/freeze-exception", ask, expect=403)
    desk("cto").post(f"/changes/{number}/freeze-exception", ask)
    book(desk, number, SLOT, 409)
    assert codes(desk("cto").post(f"/changes/{number}/freeze-exception", ask, expect=409)) == ["second_person"]
    desk("change-manager").post(f"/changes/{number}/freeze-exception", ask)
    assert book(desk, number, SLOT)["state"] == "scheduled"
    book(desk, number, "2026-11-19T02:00Z", 409)
    blackout = {"slot_start": "2026-12-01T02:00Z", "reason": "Please"}
    assert codes(desk("cto").post(f"/changes/{number}/freeze-exception", blackout, expect=409))[0] == "blackout"
    for minutes in (55, 30):  # also where the second edit brings the very content back that was granted
        version = desk("engineer").get(f"/changes/{number}")["version"]
        desk("engineer").patch(f"/changes/{number}", {"version": version, "estimated_minutes": minutes})
    approve_p2(desk, number)
    book(desk, number, SLOT, 409)


def test_asked_for_granted_and_booked_by_click(desk: Sit, number: str) -> None:
    """Item 3, A6: the requester asks on the change's page, both are told and find it at home, and what they granted is booked there."""
    engineer, cto, manager = (client_of(desk, who) for who in ("engineer", "cto", "change-manager"))
    assert b"Ask for one slot inside a freeze" in engineer.get(f"/changes/{number}/").content
    refused = act(engineer, number, "ask-exception")
    assert refused.status_code == 422
    assert b"say why this change cannot wait" in refused.content
    moving = engineer.get(f"/calendar/move/?change={number}&start={SLOT}").content
    assert b"act/ask-exception" in moving
    assert b"act/grant-exception" in cto.get(f"/calendar/move/?change={number}&start={SLOT}").content
    assert b"exception" not in engineer.get(f"/calendar/move/?change={number}&start=2026-12-01T02:00Z").content, "a blackout has none"
    assert b"have been asked" in act(engineer, number, "ask-exception", reason="The law changes on the 20th").content
    assert act(engineer, number, "ask-exception", reason="Please!").status_code == 409
    assert told("exception_asked") == {"cto", "change-manager"}
    assert f"{number} asks for a freeze exception, Tue 17 Nov 2026, 02:00 UTC".encode() in cto.get("/").content
    assert b"asks for a freeze exception" not in client_of(desk, "tech-lead").get("/").content
    assert b"A freeze exception waits for you" in cto.get(f"/changes/{number}/").content
    assert b"Your half" in act(cto, number, "grant-exception").content
    assert b"asks for a freeze exception" not in cto.get("/").content, "their half is given"
    assert b"Book it" not in engineer.get(f"/changes/{number}/").content
    act(manager, number, "grant-exception")
    assert told("exception_answered") == {"engineer"}
    page = engineer.get(f"/changes/{number}/").content
    assert b"Book it" in page
    engineer.post(f"/changes/{number}/act/schedule", {"start": SLOT})
    assert desk("engineer").get(f"/changes/{number}")["slot"]["start"] == "2026-11-17T02:00:00Z"


def test_declined_or_taken_back(desk: Sit, number: str, django_capture_on_commit_callbacks: Any) -> None:
    """A6: either says no, with a reason; what was booked by a grant is lost with it; it may be asked for once more."""
    engineer, cto = client_of(desk, "engineer"), client_of(desk, "cto")
    act(engineer, number, "ask-exception", reason="The law changes on the 20th")
    assert act(cto, number, "decline-exception").status_code == 422
    act(cto, number, "decline-exception", reason="It can wait")
    assert b"It can wait" in engineer.get(f"/changes/{number}/").content
    assert act(cto, number, "decline-exception", reason="No").status_code == 404
    act(engineer, number, "ask-exception", reason="The regulator has written to us")
    grant(desk, number, "cto", "change-manager")
    book(desk, number, SLOT)
    with django_capture_on_commit_callbacks(execute=True):
        act(client_of(desk, "change-manager"), number, "decline-exception", reason="The shop is on fire")
    change = desk("engineer").get(f"/changes/{number}")
    assert (change["state"], change["slot"]) == ("approved", None)


def test_it_lifts_the_freezes_that_stood_when_it_was_asked_for(desk: Sit, number: str, django_capture_on_commit_callbacks: Any) -> None:
    """A6: nobody granted anything about a freeze that is made afterwards; one that is only edited stays lifted."""
    grant(desk, number, "cto", "change-manager")
    book(desk, number, SLOT)
    with django_capture_on_commit_callbacks(execute=True):
        save(desk, edit(desk, "the code freeze for Thanksgiving", name="the autumn freeze"))
    assert desk("engineer").get(f"/changes/{number}")["state"] == "scheduled"
    with django_capture_on_commit_callbacks(execute=True):
        save(desk, freeze("the incident", "2026-11-16T00:00Z", "2026-11-18T00:00Z"))
    change = desk("engineer").get(f"/changes/{number}")
    assert (change["state"], change["slot"]) == ("approved", None)
    page = client_of(desk, "engineer").get(f"/changes/{number}/").content.decode()
    assert "It lost its slot, Tue 17 Nov 2026, 02:00 UTC" in page
    assert "is inside the incident until Tue 17 Nov, 24:00 UTC" in page.split('id="next-step"')[1][:600], (
        "which rule took it, where the next step is"
    )
    grant(desk, number, "change-manager", "cto")
    assert book(desk, number, SLOT)["state"] == "scheduled"


def test_over_the_api(desk: Sit, number: str) -> None:
    """A6: asked, listed and declined by clients as by click; a slot start that is none is said at its field."""
    body = {"slot_start": SLOT, "reason": "The law changes on the 20th"}
    desk("engineer").post(f"/changes/{number}/freeze-exception/ask", body)
    desk("cto").post(f"/changes/{number}/freeze-exception", body)
    desk("change-manager").post(f"/changes/{number}/freeze-exception/decline", body | {"reason": "It can wait"})
    (found,) = desk("engineer").get(f"/changes/{number}/freeze-exceptions")["items"]
    assert found == {
        "slot_start": "2026-11-17T02:00:00Z", "reason": "The law changes on the 20th", "granted": False, "asked_by": "engineer", "cto": "cto",
        "change_manager": None, "declined_by": "change-manager", "declined_reason": "It can wait",
    }  # fmt: skip
    for slot in ("soon", "9999-12-31T23:59:59+14:00", "2020-01-01T00:00Z", "9000-01-02T02:00Z", "2026-11-05T23:00Z"):
        wrong = desk("engineer").post(f"/changes/{number}/freeze-exception/ask", body | {"slot_start": slot}, expect=422)
        assert wrong["errors"][0]["field"] == "slot_start"


def test_who_may_not(desk: Sit, at: Any) -> None:
    """A6: neither requester nor implementer grants; a stranger asks for nothing; a P0 and an open slot need none."""
    at("2026-11-05T09:00Z")
    number = str(desk("change-manager").submit("P2", requested_date="2026-11-06")["id"])
    body = {"slot_start": SLOT, "reason": "Because"}
    desk("change-manager").post(f"/changes/{number}/freeze-exception", body, expect=403)
    assert act(client_of(desk, "engineer2"), number, "ask-exception", reason="Because").status_code == 403
    act(client_of(desk, "change-manager"), number, "ask-exception", reason="Because")
    assert told("exception_asked") == {"cto"}, "whoever requested it cannot grant it"
    open_slot = body | {"slot_start": "2026-11-10T02:00Z"}
    assert codes(desk("cto").post(f"/changes/{number}/freeze-exception", open_slot, expect=409)) == ["not_needed"]
    emergency = str(desk("oncall").submit("P0", requested_date="2026-11-05")["id"])
    assert codes(desk("cto").post(f"/changes/{emergency}/freeze-exception", body, expect=409)) == ["state"]
