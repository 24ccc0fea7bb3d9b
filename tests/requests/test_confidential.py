"""A confidential change is absent, not masked, for whoever may not see it: everywhere the same set
(promise 6).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import User
from audit.models import Event
from requests.models import ChangeRequest
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]
WORDS = "Rotate the leaked signing key"


@pytest.fixture
def secret(desk: Sit, at: Any) -> str:
    """A confidential P2 of the security engineer, approved and booked on 6 October."""
    at("2026-10-01T09:00Z")
    number = str(
        desk("security").submit(
            "P2",
            summary=WORDS,
            confidential=True,
            components=["cdn"],
            requested_window={"start": "2026-10-06T02:00Z"},
        )["id"]
    )
    desk("tech-lead").decide(number, "technical")
    desk("product-manager").decide(number, "business")
    desk("eng-manager").decide(number, "sign_off")
    desk("devops-lead").decide(number, "sign_off")
    assert desk("security").get(f"/changes/{number}")["state"] == "scheduled"
    return number


def pages(desk: Sit, username: str) -> Callable[[str], str]:
    client = desk(username).client
    client.force_login(desk(username).user)
    return lambda path: b"".join(client.get(path)).decode()  # an export streams


def test_a_stranger_finds_it_nowhere(desk: Sit, secret: str) -> None:
    """F30, F31, F40: page, list, search, count, calendar, export, home, gate, trail; the same
    answer as for one that is absent.
    """
    stranger, page = desk("engineer2"), pages(desk, "engineer2")
    for path in ("", "/steps", "/actions", "/checklist", "/issues", "/slots"):
        assert stranger.get(f"/changes/{secret}{path}", expect=404)["code"] == "missing"
    assert stranger.get(f"/gate/{secret}", expect=404) | {
        "detail": "",
        "reasons": [],
    } == stranger.get("/gate/CR-2026-10-01-999", expect=404) | {
        "detail": "",
        "reasons": [],
    }
    stranger.get(f"/audit?change={secret}", expect=404)
    assert stranger.get("/changes")["items"] == []
    assert stranger.get(f"/changes?q={secret}")["items"] == []
    assert stranger.get("/changes?q=leaked")["items"] == []
    assert stranger.get("/calendar?from=2026-10-01&to=2026-11-01")["bookings"] == []
    for path in (
        "/",
        "/changes/",
        "/changes/export.csv",
        "/calendar/?month=2026-10",
        "/approvals/",
        "/reports/",
    ):
        assert WORDS not in page(path), path
        assert secret not in page(path), path


@pytest.mark.parametrize("username", ["security", "tech-lead", "change-manager", "auditor"])
def test_whoever_has_a_part_in_it_sees_it(desk: Sit, secret: str, username: str) -> None:
    """Requester, deciders, change manager, auditor: list and page are one set."""
    assert [item["id"] for item in desk(username).get("/changes?q=leaked")["items"]] == [secret]
    desk(username).get(f"/changes/{secret}")
    assert WORDS in pages(desk, username)("/changes/")


def test_a_conflict_does_not_name_it(desk: Sit, secret: str) -> None:
    """contract.md: a conflict's message has the other change's number, or “a confidential
    change”.
    """
    number = desk("engineer2").submit("P2", components=["cdn"])["id"]
    desk("tech-lead").decide(number, "technical")
    desk("product-manager").decide(number, "business")
    desk("eng-manager").decide(number, "sign_off")
    desk("devops-lead").decide(number, "sign_off")
    refusal = desk("engineer2").post(
        f"/changes/{number}/schedule", {"start": "2026-10-06T02:00Z"}, expect=409
    )
    assert "a confidential change" in refusal["reasons"][0]["message"]
    assert secret not in str(refusal)


def test_a_dependency_tells_neither_its_existence_nor_its_state(desk: Sit, secret: str) -> None:
    """F31, F43: to a stranger a confidential number is text, like one that nobody has; who may see
    it depends on it.
    """
    change = desk("engineer2").create("P2", dependencies=[secret, "CR-2026-10-01-999"])["id"]
    html = pages(desk, "engineer2")(f"/changes/{change}/")
    assert html.split("<dt>Dependencies</dt>")[1].split("</dd>")[0].count('class="state') == 0
    absent = desk("engineer2").create(
        "P2", dependencies=["CR-2026-10-01-999", "CR-2026-10-01-998"]
    )["id"]
    told = [desk("engineer2").get(f"/changes/{number}/slots") for number in (change, absent)]
    assert told[0] == told[1]
    assert told[0]["items"]
    mine = desk("change-manager").create("P2", dependencies=[secret])["id"]
    assert (
        "Scheduled"
        in pages(desk, "change-manager")(f"/changes/{mine}/")
        .split("<dt>Dependencies</dt>")[1]
        .split("</dd>")[0]
    )


def test_copies_and_duplicates_do_not_tell_its_number(desk: Sit, secret: str) -> None:
    """Promise 6: the trail of an open change names a confidential one by key alone."""
    copy = desk("security").post(f"/changes/{secret}/clone", expect=201)
    desk("security").patch(
        f"/changes/{copy['id']}",
        {"version": copy["version"], "confidential": False, "summary": "An open copy"},
    )
    duplicate = desk("security").create("P2")["id"]
    desk("security").post(
        f"/changes/{duplicate}/cancel", {"reason": "Twice", "duplicate_of": secret}
    )
    page = pages(desk, "engineer2")
    for number in (copy["id"], duplicate):
        assert secret not in str(desk("engineer2").get(f"/audit?change={number}"))
        assert secret not in page(f"/changes/{number}/")
        assert secret not in page(f"/changes/{number}/audit/")


def test_the_report_counts_it_and_does_not_name_it(desk: Sit, secret: str, at: Any) -> None:
    """A8: counted, with “and n confidential changes you cannot open”; lessons and issues of it stay
    out.
    """
    at("2026-10-06T02:00Z")
    desk("change-manager").patch(
        f"/changes/{secret}",
        {"version": desk("security").get(f"/changes/{secret}")["version"], "implementer": "devops"},
    )
    devops = desk("devops")
    devops.tick_off(secret, "pre")
    devops.post(f"/changes/{secret}/start")
    devops.post(
        f"/changes/{secret}/issues",
        {"severity": "P2", "summary": "The old key was cached"},
        expect=201,
    )
    devops.post(f"/changes/{secret}/fail", {"reason": "The old key was cached"})
    devops.put(f"/changes/{secret}/review", {"summary": "Cached", "lessons": "Purge the key cache"})
    report = desk("engineer2").get("/reports/monthly/2026-10.json")
    assert (report["total"], report["changes"]) == (1, [])
    assert "cache" not in str(report)
    assert desk("auditor").get("/reports/monthly/2026-10.json")["changes"] == [secret]
    for suffix in ("csv", "md"):
        assert secret not in desk("engineer2").get(f"/reports/monthly/2026-10.{suffix}")
    assert Event.objects.filter(action="report.export", actor=desk("engineer2").user).count() == 2
    page = pages(desk, "engineer2")
    assert secret not in page("/reports/2026-10/")
    open_one = desk("engineer2").submit("P0", requested_date="2026-10-07")["id"]
    desk("cto").decide(open_one, "emergency")
    desk("oncall").post(f"/changes/{open_one}/start")
    desk("oncall").post(f"/changes/{open_one}/fail", {"reason": "It did not help"})
    assert "1 change, and 1 confidential change you cannot open" in page("/changes/?ended=2026-10")
    assert "you cannot open" not in page("/changes/")
    for guess in (
        "q=leaked",
        "q=CR-2026-10",
        "component=cdn",
        "requester=security",
        "risk=medium",
        "state=failed",
        "from=2026-10-01",
    ):
        assert "you cannot open" not in page(f"/changes/?ended=2026-10&{guess}"), guess
    assert "you cannot open" not in pages(desk, "auditor")("/changes/?ended=2026-10")


def test_a_decider_who_is_none_any_more_sees_it_no_more(desk: Sit, secret: str) -> None:
    """F39: after its escalation it is CTO's and the emergency contact's; the earlier reviewer's own
    list does not tell it either.
    """
    body = {
        "reason": "It is being used",
        "emergency_kind": "vulnerability",
        "emergency_reference": "SEC-1",
    }
    desk("security").post(f"/changes/{secret}/escalate", body)
    desk("tech-lead").get(f"/changes/{secret}", expect=404)
    assert WORDS not in pages(desk, "tech-lead")("/approvals/")


def test_a_refused_token_leaves_an_event_of_its_owner(desk: Sit, secret: str) -> None:
    """Promise 4, F64: a token that reaches too far is recorded."""
    token = desk("devops").user.api_tokens.model.make(
        user=desk("devops").user, name="x", scope="read"
    )[1]
    desk("devops").call(
        "POST", "/changes", {"summary": "No"}, expect=403, authorization=f"Bearer {token}"
    )
    event = Event.objects.latest("id")
    assert (event.action, event.actor) == ("access.refused", desk("devops").user)
    assert event.via.startswith("token:")


def test_a_form_that_is_refused_leaves_an_event(desk: Sit, at: Any) -> None:
    """Promise 4, F64: by page as by API."""
    at("2026-10-01T09:00Z")
    number = desk("engineer").create("P2")["id"]
    client = desk("devops").client
    client.force_login(desk("devops").user)
    assert client.get(f"/changes/{number}/edit").status_code == 302
    event = Event.objects.latest("id")
    assert (event.action, event.actor, event.data["path"]) == (
        "access.refused",
        desk("devops").user,
        f"/changes/{number}/edit",
    )


def seen_by(username: str) -> set[str]:
    """Every number that the person's list has, page by page."""
    desk, found, cursor = Desk(User.objects.get(username=username)), set[str](), ""
    while True:
        page = desk.get(f"/changes?limit=3&cursor={cursor}")
        found |= {item["id"] for item in page["items"]}
        cursor = page["next"]
        if not cursor:
            return found


def test_it_is_granted_by_name_or_role_and_taken_back(desk: Sit, secret: str) -> None:
    """Issue 3 item 9: django-guardian's grants, with direct foreign keys; the list and what opens
    are one set for everybody (F39, F40).
    """

    def act(who: str, verb: str, **values: str) -> int:
        client = desk(who).client
        client.force_login(User.objects.get(username=who))
        return client.post(f"/changes/{secret}/act/{verb}", values).status_code

    assert secret not in seen_by("engineer2")
    assert act("engineer2", "grant", to="engineer2") == 404
    assert act("security", "grant", to="nobody-like-that") == 422
    assert act("security", "grant") == 422
    assert act("security", "grant", to="engineer2") == 302
    assert act("security", "grant", role="manager") == 302
    assert User.objects.get(username="engineer2").has_perm(
        "requests.view_changerequest", ChangeRequest.objects.get(number=secret)
    )
    assert {secret} <= seen_by("engineer2") & seen_by("manager")
    assert secret not in seen_by("engineer")
    assert act("engineer2", "grant", to="engineer") == 403, "whoever may see it does not pass it on"
    for user in User.objects.filter(is_active=True):
        numbers = seen_by(user.username)
        for number in ChangeRequest.objects.values_list("number", flat=True):
            Desk(user).get(f"/changes/{number}", expect=200 if number in numbers else 404)
    page = pages(desk, "security")(f"/changes/{secret}/")
    assert "Paulo Reis" in page
    assert "Every Manager" in page
    assert act("security", "ungrant", to="engineer2") == 302
    assert act("security", "ungrant", to="engineer2") == 409
    assert act("security", "ungrant", to="manager") == 302
    assert secret not in seen_by("engineer2") | seen_by("manager")
    granted = Event.objects.filter(action="change.grant").values_list("data", flat=True)
    assert list(granted) == [
        {"person": User.objects.get(username="engineer2").pk},
        {"role": "manager"},
    ]
    open_one = str(desk("security").create("P3")["id"])
    client = desk("security").client
    assert client.post(f"/changes/{open_one}/act/grant", {"to": "engineer2"}).status_code == 409
