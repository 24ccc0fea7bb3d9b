"""A component is retired: at once where nothing rests on it, else by two people; and what waits
already is not asked for twice (A36).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from proposals.models import Proposal
from requests.models import Component
from tests.pages.test_home import sentence
from tests.world import Desk, html_of

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]


@pytest.fixture(autouse=True)
def october(at: Any) -> None:
    at("2026-10-01T09:00Z")


def retired(slug: str = "search") -> bool:
    return Component.objects.get(slug=slug).retired_at is not None


def fields_of(answer: dict[str, Any]) -> list[str]:
    return [error["field"] for error in answer["errors"]]


def page(username: str, path: str) -> str:
    client = Client()
    client.force_login(User.objects.get(username=username))
    return html_of(client.get(path))


def test_one_that_no_open_change_names_is_retired_at_once_and_comes_back_at_once(desk: Sit) -> None:
    """A36: other removals are immediate, and all additions."""
    number = str(desk("engineer").submit("P3", components=["search"])["id"])
    desk("engineer").post(f"/changes/{number}/cancel", {"reason": "Not needed"})
    found = desk("change-manager").patch("/components/search", {"retired": True}, expect=200)
    assert found["retired_at"] == "2026-10-01T09:00:00Z"
    assert (
        desk("change-manager").patch("/components/search", {"retired": False}, expect=200)[
            "retired_at"
        ]
        is None
    )


def test_one_that_open_changes_name_waits_for_its_second_person(desk: Sit) -> None:
    """A36: nothing happens until somebody else has confirmed; then the trail names both."""
    desk("engineer").submit("P3", components=["search"])
    manager = desk("change-manager")
    assert fields_of(manager.patch("/components/search", {"retired": True}, expect=422)) == [
        "reason"
    ]
    key = manager.patch(
        "/components/search", {"retired": True, "name": "Finding", "reason": "Replaced"}, expect=202
    )["proposal"]
    assert (retired(), Component.objects.get(slug="search").name) == (False, "Finding")
    assert Proposal.objects.get().widens == [
        "Finding is retired although open changes name it; planned ones that are submitted later"
        " cannot."
    ]
    manager.post(f"/proposals/{key}/confirm", expect=403)
    desk("devops-lead").post(f"/proposals/{key}/confirm")
    assert retired()
    event = desk("auditor").get("/audit?action=component.edit")["items"][-1]
    assert (event["data"]["fields"], event["data"]["confirmed_by"]) == (["retired"], "devops-lead")


@pytest.mark.parametrize(
    "values", [{"retired": True}, {"security_review": False}, {"depends_on": []}]
)
def test_what_waits_already_is_not_asked_for_twice(desk: Sit, values: dict[str, Any]) -> None:
    """A36: two saves of one edit are one proposal, and the second answer names it; what is asked
    for besides is another.
    """
    desk("engineer").submit("P3", components=["payments", "payments-db"])
    manager = desk("change-manager")
    first = manager.patch("/components/payments", values | {"reason": "Replaced"}, expect=202)
    assert (
        manager.patch("/components/payments", values | {"reason": "Replaced"}, expect=202) == first
    )
    assert manager.patch("/components/payments", values, expect=202) == first
    both = {"retired": True, "security_review": False, "depends_on": [], "reason": "Gone"}
    second = manager.patch("/components/payments", both, expect=202)
    assert second != first
    asked = [
        (p.payload["retired"], p.payload["security_review"], p.payload["needed"])
        for p in Proposal.objects.order_by("id")
    ]
    assert [sum(bool(row[place]) for row in asked) for place in range(3)] == [1, 1, 1]
    desk("cto").post(f"/proposals/{first['proposal']}/decline", {"reason": "Not now"})
    assert manager.patch(
        "/components/payments", values | {"reason": "Replaced"}, expect=202
    ) not in (first, second)


def test_the_proposal_that_asks_for_it_is_named(desk: Sit) -> None:
    """A36: of two that wait, the one that the edit is about."""
    desk("engineer").submit("P3", components=["payments"])
    manager = desk("change-manager")
    guarded = manager.patch(
        "/components/payments", {"security_review": False, "reason": "Vaulted"}, expect=202
    )
    gone = manager.patch(
        "/components/payments", {"retired": True, "reason": "Replaced"}, expect=202
    )
    assert manager.patch("/components/payments", {"security_review": False}, expect=202) == guarded
    assert manager.patch("/components/payments", {"retired": True}, expect=202) == gone


def test_no_change_that_is_submitted_later_names_it(desk: Sit) -> None:
    """A36: refused with its field where it is submitted; not offered by the form; one that was on
    its way goes on, and comes back.
    """
    engineer = desk("engineer")
    before = str(engineer.submit("P2", components=["search"])["id"])
    draft = str(engineer.create("P2", components=["search"])["id"])
    key = desk("change-manager").patch(
        "/components/search", {"retired": True, "reason": "Replaced"}, expect=202
    )["proposal"]
    desk("cto").post(f"/proposals/{key}/confirm")
    Component.objects.filter(slug="search").update(retired_at="2026-10-01T09:00:01Z")
    refused = engineer.post(f"/changes/{draft}/submit", expect=422)
    assert [(error["field"], error["message"]) for error in refused["errors"]] == [
        ("components", "Components: search is retired; name what took the place.")
    ]
    form = page("engineer", f"/changes/{draft}/edit")
    assert 'data-add-component="search"' not in form
    assert 'data-add-component="catalogue"' in form
    desk("tech-lead").decide(before, "technical", "request_changes", comment="Say how it is tried")
    engineer.post(f"/changes/{before}/submit")
    assert engineer.get(f"/changes/{before}")["state"] == "in_review"


def test_the_page_retires_it(desk: Sit) -> None:
    """A36: by the form, whose list then says so; nobody else can."""
    client = Client()
    client.force_login(User.objects.get(username="change-manager"))
    values = {
        "slug": "cdn",
        "name": "Content delivery",
        "team": "Platform",
        "owner": "devops-lead",
        "depends_on": "",
        "retired": "on",
    }
    assert client.post("/settings/components/cdn/", values).status_code == 302
    assert retired("cdn")
    assert "Retired" in page("engineer", "/settings/components/")
    assert 'id="id_retired" checked' in page("change-manager", "/settings/components/cdn/")
    values.pop("retired")
    client.post("/settings/components/cdn/", values | {"was_retired": "yes"})
    assert not retired("cdn")
    client.force_login(User.objects.get(username="engineer"))
    assert client.post("/settings/components/cdn/", values | {"retired": "on"}).status_code == 403
    assert not retired("cdn")


def test_it_waits_at_the_home_of_whoever_could_confirm_it(desk: Sit) -> None:
    """X10, X15: also where nobody is barred from confirming; not at the home of whoever proposed
    it, or could not.
    """
    desk("engineer").submit("P3", components=["search"])
    desk("change-manager").patch(
        "/components/search", {"retired": True, "reason": "Replaced"}, expect=202
    )
    for username, waits in (
        ("cto", True),
        ("devops-lead", True),
        ("change-manager", False),
        ("engineer", False),
    ):
        assert ("Component: Search" in page(username, "/")) is waits, username
    assert sentence("cto") == "A second signature waits for you."


def test_an_old_page_puts_nothing_back(desk: Sit) -> None:
    """A36: whoever opened the page before the retirement and saves another field does not bring the
    component back.
    """
    client = Client()
    client.force_login(User.objects.get(username="change-manager"))
    values = {
        "slug": "cdn",
        "name": "Content delivery",
        "team": "Platform",
        "owner": "devops-lead",
        "depends_on": "",
        "was_retired": "no",
    }
    Component.objects.filter(slug="cdn").update(retired_at="2026-10-01T08:00Z")
    assert client.post("/settings/components/cdn/", values | {"team": "Edge"}).status_code == 302
    assert (retired("cdn"), Component.objects.get(slug="cdn").team) == (True, "Edge")
    client.post("/settings/components/cdn/", values | {"was_retired": "yes"})
    assert not retired("cdn")


@pytest.mark.parametrize("answer", ["true", 1, None, []])
def test_it_is_answered_by_yes_or_no(desk: Sit, answer: Any) -> None:
    """Bad input names its field, and changes nothing."""
    Component.objects.filter(slug="cdn").update(retired_at="2026-10-01T08:00Z")
    assert fields_of(
        desk("change-manager").patch("/components/cdn", {"retired": answer}, expect=422)
    ) == ["retired"]
    assert retired("cdn")


def test_no_change_takes_a_retired_one_in_later(desk: Sit, at: Any) -> None:
    """A36: also one that was submitted before; an emergency names what broke, whatever its age in
    the catalogue.
    """
    number = str(desk("engineer").submit("P2", components=["cdn"])["id"])
    at("2026-10-02T09:00Z")
    desk("change-manager").patch("/components/search", {"retired": True}, expect=200)
    edit = {
        "version": desk("engineer").get(f"/changes/{number}")["version"],
        "components": ["cdn", "search"],
    }
    assert fields_of(desk("engineer").call("PATCH", f"/changes/{number}", edit, expect=422)) == [
        "components"
    ]
    assert (
        desk("engineer").submit("P0", components=["search"], requested_date=None)["state"]
        == "in_review"
    )
