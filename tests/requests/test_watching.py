"""Watching and mentions: who is told besides those whom it concerns (issue 3 item 11)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from notifications.models import Message
from requests.watching import mentions
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]


def click(username: str, number: str, verb: str, **values: str) -> int:
    client = Client()
    client.force_login(User.objects.get(username=username))
    return client.post(f"/changes/{number}/act/{verb}", values).status_code


def told(kind: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in Message.objects.filter(kind=kind).values_list("recipient__username", flat=True):
        found[name] = found.get(name, 0) + 1
    return found


def test_whoever_watches_is_told_how_it_goes_on(desk: Sit, at: Any) -> None:
    """Each move once; not the one who makes it, nor those who are told anyway; not after they stop;
    it finds its list.
    """
    at("2026-10-01T09:00Z")
    number = str(
        desk("engineer").create(
            "P3", requested_window={"start": "2026-10-06T02:00Z"}, implementer="devops"
        )["id"]
    )
    for who in ("manager", "auditor", "engineer", "devops", "security"):
        assert click(who, number, "watch") == 302
        assert click(who, number, "watch") == 302
    assert [item["id"] for item in desk("manager").get("/changes?watching=1")["items"]] == [number]
    assert desk("cto").get("/changes?watching=1")["items"] == []
    desk("engineer").post(f"/changes/{number}/submit")
    assert told("watched") == {"manager": 1, "auditor": 1, "security": 1}
    assert click("security", number, "unwatch") == 302
    desk("tech-lead").decide(number, "technical")
    desk("devops2").decide(number, "sign_off")
    assert told("watched") == {
        "manager": 3,
        "auditor": 3,
        "security": 1,
    }, "approved, and booked by itself"
    assert (
        Message.objects.filter(
            kind="watched", subject__contains="is now scheduled", recipient__username="manager"
        ).count()
        == 1
    )


def test_a_comment_tells_its_people_and_whom_it_mentions(desk: Sit, at: Any) -> None:
    """Requester, implementer, watchers once each; a mention is said as one; the author is not told;
    unknown names are just text.
    """
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P2", implementer="devops")["id"])
    click("manager", number, "watch")
    text = "Does @security agree? @manager, @nobody-like-that and mail@devops2 too. Ask @tech-lead."
    desk("devops").post(f"/changes/{number}/comments", {"text": text}, expect=201)
    assert told("mention") == {"security": 1, "tech-lead": 1, "manager": 1}
    assert told("comment") == {"engineer": 1}
    client = desk("devops").client
    said = client.post(
        f"/changes/{number}/act/comment", {"text": "@cto and @nobody.\n"}, follow=True
    ).content.decode()
    assert "Told: Helen Park." in said
    assert "may see this change: @nobody." in said
    assert mentions("a@b.c @x.y. @x.y (@z)") == ["x.y", "z"]
    assert len(mentions(" ".join(f"@p{n}" for n in range(90)))) == 20


def test_nobody_is_told_of_what_they_may_not_see(desk: Sit, at: Any) -> None:
    """Promise 6: mentions and watching open nothing; whoever loses sight of a change is not told
    any more.
    """
    at("2026-10-01T09:00Z")
    number = str(desk("security").create("P2")["id"])
    click("engineer2", number, "watch")
    version = desk("security").get(f"/changes/{number}")["version"]
    desk("security").patch(f"/changes/{number}", {"version": version, "confidential": True})
    assert click("engineer", number, "watch") == 404
    desk("security").post(
        f"/changes/{number}/comments", {"text": "@engineer2 @engineer @auditor look"}, expect=201
    )
    desk("security").post(f"/changes/{number}/submit")
    assert told("mention") == {"auditor": 1}
    assert told("comment") == {}
    assert told("watched") == {}
