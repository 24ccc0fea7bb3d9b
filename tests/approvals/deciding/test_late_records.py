"""Everybody's next step while an emergency that began long ago waits to be recorded (A33,
X10, X8).
"""

from __future__ import annotations

from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from audit.models import Event
from tests.approvals.deciding.test_authorisation import filed, told
from tests.machine.test_next_step import shown
from tests.pages.test_home import sentence
from tests.world import Desk, fields, html_of

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]
LONG_AGO, LATELY = (
    "2026-10-03T07:29:59Z",
    "2026-10-03T07:30:00Z",
)  # a second more than 72 hours, and 72 hours
ASKED = (
    "It began more than 72 hours ago: a change manager must accept that first, and has been asked."
)


@pytest.fixture(autouse=True)
def morning(at: Any) -> None:
    at("2026-10-06T07:30:00Z")


def page(username: str, path: str) -> str:
    client = Client()
    client.force_login(User.objects.get(username=username))
    return unescape(html_of(client.get(path)))


def draft(desk: Sit, began: str) -> str:
    return str(
        desk("oncall").post(
            "/changes", fields("P0", requested_date=None, actual_start=began), expect=201
        )["id"]
    )


@pytest.mark.parametrize(("began", "says"), [
    (LONG_AGO, "It began more than 72 hours ago: this asks a change manager to accept that first."),
    (LATELY, "It is kept with its real times; "
        "whoever could have authorised it says whether it was right."),
])  # fmt: skip
def test_what_submitting_it_brings_about_is_said_before(desk: Sit, began: str, says: str) -> None:
    """X8, A33: nobody is told that reviewers are asked, where nobody is."""
    number = draft(desk, began)
    assert shown("oncall", number)[:3] == ("submit", True, "Record what was done?")
    assert says in page("oncall", f"/changes/{number}/")
    assert "Submitting asks the reviewers" not in page("oncall", f"/changes/{number}/")


def test_who_filed_it_reads_that_it_waits_and_whom_for(desk: Sit) -> None:
    """X10: the button is locked with its reason, on the page, at home and for `actions`."""
    number = str(filed(desk, LONG_AGO, expect=409)["number"])
    assert shown("oncall", number) == ("submit", False, "It waits for a change manager", ASKED)
    (submit,) = [
        action
        for action in desk("oncall").get(f"/changes/{number}/actions")["items"]
        if action["name"] == "submit"
    ]
    assert [reason["code"] for reason in submit["reasons"]] == ["recorded_late"]
    assert ASKED in page("oncall", "/")
    assert "asked that it is recorded late" in page("oncall", f"/changes/{number}/")


def test_the_change_manager_finds_it_at_home_and_on_its_page(desk: Sit) -> None:
    """X10: it is theirs to accept, until they have; then it is its requester's again."""
    number = str(filed(desk, LONG_AGO, expect=409)["number"])
    assert (
        sentence("change-manager")
        == "An emergency waits for you to accept that it is recorded late."
    )
    assert f"<b>{number}</b> began more than 72 hours ago" in page("change-manager", "/")
    assert shown("change-manager", number) == (
        "accept-late-record",
        True,
        "It waits for you, before it can be recorded",
        "",
    )
    for other in ("devops-lead", "cto", "auditor"):
        assert shown(other, number)[0] == "none"
    desk("change-manager").post(
        f"/changes/{number}/late-record/accept", {"reason": "On holiday since"}
    )
    assert number not in page("change-manager", "/")
    assert shown("change-manager", number)[0] == "none"
    assert shown("oncall", number)[:3] == ("submit", True, "Record what was done?")
    assert desk("oncall").post(f"/changes/{number}/submit")["state"] == "implementing"


def test_it_is_asked_once(desk: Sit) -> None:
    """X8: a second press finds it asked already: one mail, one event."""
    number = str(filed(desk, LONG_AGO, expect=409)["number"])
    assert desk("oncall").post(f"/changes/{number}/submit", expect=409)["code"] == "recorded_late"
    assert told("late_record") == ["change-manager"]
    assert Event.objects.filter(action="change.late_record_ask").count() == 1


def test_that_nobody_could_accept_it_is_said(desk: Sit) -> None:
    """X8, A43: the only change manager filed it; nobody is said to have been asked."""
    found = filed(desk, LONG_AGO, who="change-manager", expect=409)
    none = (
        "It began more than 72 hours ago, and there is no change manager who could accept that: an"
        " administrator grants the role."
    )
    assert found["detail"] == none
    assert shown("change-manager", str(found["number"]))[3] == none
    assert told("late_record") == []


def test_whoever_becomes_change_manager_is_told_then(desk: Sit) -> None:
    """X8, A43: “has been asked” is so for everybody who could; nobody is told twice."""
    number = str(filed(desk, LONG_AGO, who="change-manager", expect=409)["number"])
    give = {
        "username": "cto",
        "name": "Helen Park",
        "email": "cto@example.com",
        "phone": "",
        "is_active": "on",
    }
    client = Client()
    client.force_login(User.objects.get(username="admin"))
    for _ in range(2):
        assert (
            client.post(
                "/settings/people/cto/", give | {"roles": ["cto", "change-manager"]}
            ).status_code
            == 302
        )
    assert told("late_record") == ["cto"]
    assert shown("change-manager", number)[3] == ASKED
    assert sentence("cto") == "An emergency waits for you to accept that it is recorded late."


@pytest.mark.parametrize("began", ["2026-10-05T07:30Z", None])
def test_one_whose_start_was_put_right_waits_for_nobody(desk: Sit, began: str | None) -> None:
    """X8: what is not late any more is not asked about."""
    number = str(filed(desk, LONG_AGO, expect=409)["number"])
    version = desk("oncall").get(f"/changes/{number}")["version"]
    desk("oncall").patch(f"/changes/{number}", {"version": version, "actual_start": began})
    assert number not in page("change-manager", "/")
    assert shown("change-manager", number)[0] == "none"
    assert shown("oncall", number)[:2] == ("submit", True)
