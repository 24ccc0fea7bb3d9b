"""The freeze exception: asked for, granted by two, declined, taken back; it lifts what stood when
it was asked for (A6, item 3).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from accounts.registry import make_token
from audit.models import Event
from notifications.models import Message
from requests.models import ChangeRequest
from tests.journeys.test_api_walk import approve_p2
from tests.windows.booking.test_bookings import book, codes
from tests.windows.pages.test_pages import client_of
from tests.windows.rules.test_rules import edit, freeze, preview, save
from tests.world import Desk, html_of
from windows.models import FreezeException

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
        desk(who).post(
            f"/changes/{number}/freeze-exception",
            {"slot_start": SLOT, "reason": "The law changes on the 20th."},
        )


def told(kind: str) -> set[str]:
    return set(Message.objects.filter(kind=kind).values_list("recipient__username", flat=True))


def test_it_takes_cto_and_change_manager(desk: Sit, number: str) -> None:
    """A6: two people, one slot, a code freeze only; an edit ends it."""
    ask = {"slot_start": SLOT, "reason": "The law changes on the 20th."}
    book(desk, number, SLOT, 409)
    desk("engineer").post(f"/changes/{number}/freeze-exception", ask, expect=403)
    desk("cto").post(f"/changes/{number}/freeze-exception", ask)
    book(desk, number, SLOT, 409)
    assert codes(desk("cto").post(f"/changes/{number}/freeze-exception", ask, expect=409)) == [
        "second_person"
    ]
    desk("change-manager").post(f"/changes/{number}/freeze-exception", ask)
    assert book(desk, number, SLOT)["state"] == "scheduled"
    book(desk, number, "2026-11-19T02:00Z", 409)
    blackout = {"slot_start": "2026-12-01T02:00Z", "reason": "Please"}
    assert (
        codes(desk("cto").post(f"/changes/{number}/freeze-exception", blackout, expect=409))[0]
        == "blackout"
    )
    for minutes in (
        55,
        30,
    ):  # also where the second edit brings the very content back that was granted
        version = desk("engineer").get(f"/changes/{number}")["version"]
        desk("engineer").patch(
            f"/changes/{number}", {"version": version, "estimated_minutes": minutes}
        )
    approve_p2(desk, number)
    book(desk, number, SLOT, 409)


def test_asked_for_granted_and_booked_by_click(desk: Sit, number: str) -> None:
    """Item 3, A6: the requester asks on the change's page, both are told and find it at home, and
    what they granted is booked there.
    """
    engineer, cto, manager = (client_of(desk, who) for who in ("engineer", "cto", "change-manager"))
    assert b"Ask for one slot inside a freeze" in engineer.get(f"/changes/{number}/").content
    refused = act(engineer, number, "ask-exception")
    assert refused.status_code == 422
    assert b"say why this change cannot wait" in refused.content
    moving = engineer.get(f"/calendar/move/?change={number}&start={SLOT}").content
    assert b"act/ask-exception" in moving
    assert (
        b"exception"
        not in engineer.get(f"/calendar/move/?change={number}&start=2026-12-01T02:00Z").content
    ), "a blackout has none"
    assert (
        b"have been asked"
        in act(engineer, number, "ask-exception", reason="The law changes on the 20th").content
    )
    assert act(engineer, number, "ask-exception", reason="Please!").status_code == 409
    assert (
        b"has been asked for"
        in engineer.get(f"/calendar/move/?change={number}&start={SLOT}").content
    )
    assert told("exception_asked") == {"cto", "change-manager"}
    assert (
        f"{number} asks for a freeze exception, Tue 17 Nov 2026, 02:00 UTC".encode()
        in cto.get("/").content
    )
    assert b"asks for a freeze exception" not in client_of(desk, "tech-lead").get("/").content
    assert b"A freeze exception waits for you" in cto.get(f"/changes/{number}/").content
    assert b"Your half" in act(cto, number, "grant-exception").content
    assert b"asks for a freeze exception" not in cto.get("/").content, "their half is given"
    assert b"Book it" not in engineer.get(f"/changes/{number}/").content
    act(manager, number, "grant-exception")
    assert told("exception_granted") == {"engineer"}
    assert not Message.objects.filter(kind="exception_asked", state="due").exists(), (
        "nobody is asked any more"
    )
    assert (
        f"/calendar/move/?change={number}&amp;start=2026-11-17T02:00:00Z".encode()
        in engineer.get(f"/changes/{number}/").content
    )
    assert (
        b"Book it there"
        in engineer.get(f"/calendar/move/?change={number}&start=2026-11-17T02:00:00Z").content
    )
    engineer.post(f"/changes/{number}/act/schedule", {"start": SLOT})
    assert desk("engineer").get(f"/changes/{number}")["slot"]["start"] == "2026-11-17T02:00:00Z"


def test_declined_or_taken_back(
    desk: Sit, number: str, at: Any, django_capture_on_commit_callbacks: Any
) -> None:
    """A6: either says no, with a reason; what was booked by a grant is lost with it; it may be
    asked for once more.
    """
    engineer, cto = client_of(desk, "engineer"), client_of(desk, "cto")
    act(engineer, number, "ask-exception", reason="The law changes on the 20th")
    assert act(cto, number, "decline-exception").status_code == 422
    act(cto, number, "decline-exception", reason="It can wait")
    page = html_of(engineer.get(f"/changes/{number}/"))
    assert "It can wait" in page
    assert 'name="slot_start" value="2026-11-17T02:00"' in page, "to ask again is one sentence"
    second = desk("change-manager").post(
        f"/changes/{number}/freeze-exception", {"slot_start": SLOT, "reason": "Yes"}, expect=409
    )
    assert "was first and said no: It can wait" in second["detail"]
    assert act(cto, number, "decline-exception", reason="No").status_code == 409
    act(engineer, number, "ask-exception", reason="The regulator has written to us")
    grant(desk, number, "cto", "change-manager")
    book(desk, number, SLOT)
    at("2026-11-09T09:00Z")
    with django_capture_on_commit_callbacks(execute=True):
        act(
            client_of(desk, "change-manager"),
            number,
            "decline-exception",
            reason="The shop is on fire",
        )
    change = desk("engineer").get(f"/changes/{number}")
    assert (change["state"], change["slot"]) == ("approved", None)
    assert told("exception_declined") == {"engineer", "cto"}, "also who granted the other half"
    lost = Message.objects.get(kind="displaced", recipient__username="engineer")
    assert f"{lost.due_at:%d %b}" == "09 Nov", (
        "it became void when it was taken back: that is not late"
    )


def test_it_lifts_the_freezes_that_stood_when_it_was_asked_for(
    desk: Sit, number: str, django_capture_on_commit_callbacks: Any
) -> None:
    """A6: nobody granted anything about a freeze that is made afterwards; one that is only edited
    stays lifted.
    """
    grant(desk, number, "cto", "change-manager")
    book(desk, number, SLOT)
    with django_capture_on_commit_callbacks(execute=True):
        save(desk, edit(desk, "the code freeze for Thanksgiving", name="the autumn freeze"))
    assert desk("engineer").get(f"/changes/{number}")["state"] == "scheduled"
    with django_capture_on_commit_callbacks(execute=True):
        save(desk, freeze("the incident", "2026-11-16T00:00Z", "2026-11-18T00:00Z"))
    change = desk("engineer").get(f"/changes/{number}")
    assert (change["state"], change["slot"]) == ("approved", None)
    page = html_of(client_of(desk, "engineer").get(f"/changes/{number}/"))
    assert "It lost its slot, Tue 17 Nov 2026, 02:00 UTC" in page
    assert (
        "is inside the incident until Tue 17 Nov, 24:00 UTC; next: Tue 5 Jan 2027, 02:00 UTC"
        in page.split('id="next-step"')[1][:600]
    ), "which rule took it, where the next step is"
    body = {"slot_start": SLOT, "reason": "The law changes on the 20th"}
    assert codes(desk("cto").post(f"/changes/{number}/freeze-exception", body, expect=409)) == [
        "overtaken"
    ]
    assert "What shuts that slot has changed since" in html_of(
        client_of(desk, "cto").get(f"/changes/{number}/")
    )
    desk("engineer").post(f"/changes/{number}/freeze-exception/ask", body)
    grant(desk, number, "change-manager", "cto")
    assert book(desk, number, SLOT)["state"] == "scheduled"


def test_a_granted_exception_survives_the_edit_of_another_rule(
    desk: Sit, at: Any, django_capture_on_commit_callbacks: Any
) -> None:
    """A6: what CTO and change manager let into a freeze is not displaced by the freeze itself."""
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P2", requested_date="2026-11-17")["id"])
    approve_p2(desk, number)
    for who in ("cto", "change-manager"):
        desk(who).post(
            f"/changes/{number}/freeze-exception",
            {"slot_start": "2026-11-17T02:00Z", "reason": "The old certificate ends"},
        )
    desk("devops").post(f"/changes/{number}/schedule", {"start": "2026-11-17T02:00Z"})
    with django_capture_on_commit_callbacks(execute=True):
        save(desk, freeze("the audit week", "2026-10-05T00:00Z", "2026-10-08T00:00Z"))
    assert desk("engineer").get(f"/changes/{number}")["state"] == "scheduled"


@pytest.mark.parametrize("becomes", ["the code freeze for Thanksgiving", "the audit"])
def test_a_freeze_that_becomes_a_blackout_is_lifted_no_more(
    desk: Sit, number: str, becomes: str, django_capture_on_commit_callbacks: Any
) -> None:
    """A6, promise 2: never a blackout, also where a freeze that is still lifted lies beside it; the
    preview says so.
    """
    if becomes == "the audit":
        save(desk, freeze("the audit", "2026-11-16T00:00Z", "2026-11-18T00:00Z"))
    grant(desk, number, "cto", "change-manager")
    book(desk, number, SLOT)
    blackout = edit(desk, becomes, kind="blackout")
    assert [found["change"] for found in preview(desk, blackout)["displaced"]] == [number]
    with django_capture_on_commit_callbacks(execute=True):
        save(desk, blackout)
    assert desk("engineer").get(f"/changes/{number}")["state"] == "approved"


def test_it_is_granted_to_what_was_seen(desk: Sit, number: str) -> None:
    """A6: the content was edited, or the question asked anew, since the page was opened: look
    again, then decide.
    """
    engineer, cto = client_of(desk, "engineer"), client_of(desk, "cto")
    act(engineer, number, "ask-exception", reason="The law changes on the 20th")
    seen = FreezeException.objects.get().mark
    desk("engineer").patch(
        f"/changes/{number}",
        {"version": desk("engineer").get(f"/changes/{number}")["version"], "reason": "Another"},
    )
    act(engineer, number, "ask-exception", reason="Trust me")
    assert act(cto, number, "grant-exception", asked=seen).status_code == 412
    assert act(cto, number, "decline-exception", asked=seen, reason="No").status_code == 412
    assert not FreezeException.objects.exclude(cto=None).exists()


def test_whoever_granted_it_does_not_implement_it(desk: Sit, at: Any) -> None:
    """A6: neither requester nor implementer, whenever they become it: by starting, by taking over,
    by being named.
    """
    at("2026-11-05T09:00Z")
    manager = desk("change-manager")
    manager.user.groups.add(Group.objects.get(name="devops-engineer"))
    number = str(desk("engineer").submit("P1", requested_date="2026-11-06")["id"])
    approve_p2(desk, number)
    grant(desk, number, "cto", "change-manager")
    book(desk, number, SLOT)
    assert codes(manager.post(f"/changes/{number}/take-over", expect=403)) == ["judged"]
    desk("devops").tick_off(number, "pre")
    at("2026-11-17T02:05Z")
    assert codes(manager.post(f"/changes/{number}/start", expect=403)) == ["judged"]
    desk("devops").post(f"/changes/{number}/start")
    assert codes(manager.post(f"/changes/{number}/take-over", expect=403)) == ["judged"]
    assert Event.objects.get(action="change.start").data["freeze_exception"] is True


def test_a_granter_who_becomes_its_author_or_implementer_voids_it(desk: Sit, number: str) -> None:
    """A6: the grant counts no more, the page says so, and the slot cannot be booked."""
    grant(desk, number, "cto", "change-manager")
    ChangeRequest.objects.filter(number=number).update(implementer=desk("change-manager").user)
    book(desk, number, SLOT, 409)
    page = html_of(client_of(desk, "engineer").get(f"/changes/{number}/"))
    assert "Whoever edits or implements a change grants it nothing" in page
    assert "Book it</a>" not in page
    body = {"slot_start": SLOT, "reason": "The law changes on the 20th"}
    assert codes(desk("cto").post(f"/changes/{number}/freeze-exception", body, expect=409)) == [
        "void"
    ]
    assert codes(
        desk("engineer").post(f"/changes/{number}/freeze-exception/ask", body, expect=409)
    ) == ["nobody"]
    desk("devops-lead").user.groups.add(Group.objects.get(name="change-manager"))
    desk("engineer").post(f"/changes/{number}/freeze-exception/ask", body)
    grant(desk, number, "cto", "devops-lead")
    assert book(desk, number, SLOT)["state"] == "scheduled"


def test_one_person_with_both_roles_gives_one_half(desk: Sit, number: str) -> None:
    """A6: two people."""
    desk("cto").user.groups.add(Group.objects.get(name="change-manager"))
    grant(desk, number, "cto")
    body = {"slot_start": SLOT, "reason": "Both are mine"}
    assert codes(desk("cto").post(f"/changes/{number}/freeze-exception", body, expect=409)) == [
        "second_person"
    ]
    assert not FreezeException.objects.get().is_granted


def test_of_a_confidential_change_only_who_sees_it_is_asked(desk: Sit, at: Any) -> None:
    """A6, promise 9: nobody reads of it who may not see it, and whoever asks is told that nobody
    could grant it.
    """
    at("2026-11-05T09:00Z")
    number = str(
        desk("engineer").submit("P2", requested_date="2026-11-06", confidential=True)["id"]
    )
    body = {"slot_start": SLOT, "reason": "The law changes on the 20th"}
    nobody = desk("engineer").post(f"/changes/{number}/freeze-exception/ask", body, expect=409)
    assert (codes(nobody), "let them see it first" in nobody["detail"]) == (["nobody"], True)
    assert told("exception_asked") == set()
    client_of(desk, "engineer").post(f"/changes/{number}/act/grant", {"to": "cto"})
    desk("engineer").post(f"/changes/{number}/freeze-exception/ask", body)
    assert told("exception_asked") == {"cto", "change-manager"}


def test_a_token_neither_grants_nor_declines(desk: Sit, number: str) -> None:
    """Contract: a token never decides; it may ask."""
    grant(desk, number, "cto")
    body = {"slot_start": SLOT, "reason": "It can wait"}
    for who, path, status in (
        ("change-manager", "", 403),
        ("change-manager", "/decline", 403),
        ("devops", "/ask", 409),
    ):
        _, secret = make_token(actor=desk(who).user, name=f"t{path}", scope="write", days=1)
        answer = Client().post(
            f"/api/v1/changes/{number}/freeze-exception{path}",
            body,
            content_type="application/json",
            headers={"Authorization": f"Bearer {secret}"},
        )
        assert answer.status_code == status, answer.content


def test_over_the_api(desk: Sit, number: str) -> None:
    """A6: asked, listed and declined by clients as by click; a slot start that is none is said at
    its field.
    """
    body = {"slot_start": SLOT, "reason": "The law changes on the 20th"}
    desk("engineer").post(f"/changes/{number}/freeze-exception/ask", body)
    desk("cto").post(f"/changes/{number}/freeze-exception", body)
    desk("change-manager").post(
        f"/changes/{number}/freeze-exception/decline", body | {"reason": "It can wait"}
    )
    (found,) = desk("engineer").get(f"/changes/{number}/freeze-exceptions")["items"]
    assert found == {
        "slot_start": "2026-11-17T02:00:00Z", "reason": "The law changes on the 20th",
        "standing": "declined", "asked_by": "engineer", "cto": "cto",
        "change_manager": None, "declined_by": "change-manager", "declined_reason": "It can wait",
    }  # fmt: skip
    for slot in (
        "soon",
        "9999-12-31T23:59:59+14:00",
        "2020-01-01T00:00Z",
        "9000-01-02T02:00Z",
        "2026-11-05T23:00Z",
    ):
        wrong = desk("engineer").post(
            f"/changes/{number}/freeze-exception/ask", body | {"slot_start": slot}, expect=422
        )
        assert wrong["errors"][0]["field"] == "slot_start"


def test_who_may_not(desk: Sit, at: Any) -> None:
    """A6: neither requester nor implementer grants; a stranger asks for nothing; a P0 and an open
    slot need none.
    """
    at("2026-11-05T09:00Z")
    number = str(desk("change-manager").submit("P2", requested_date="2026-11-06")["id"])
    body = {"slot_start": SLOT, "reason": "Because"}
    desk("change-manager").post(f"/changes/{number}/freeze-exception", body, expect=403)
    assert (
        act(client_of(desk, "engineer2"), number, "ask-exception", reason="Because").status_code
        == 403
    )
    alone = desk("change-manager").post(f"/changes/{number}/freeze-exception/ask", body, expect=409)
    assert "Nobody with the role Change manager may grant it" in alone["detail"], (
        "the only one requested it"
    )
    open_slot = body | {"slot_start": "2026-11-10T02:00Z"}
    assert codes(
        desk("cto").post(f"/changes/{number}/freeze-exception", open_slot, expect=409)
    ) == ["not_needed"]
    emergency = str(desk("oncall").submit("P0", requested_date="2026-11-05")["id"])
    assert codes(desk("cto").post(f"/changes/{emergency}/freeze-exception", body, expect=409)) == [
        "state"
    ]
