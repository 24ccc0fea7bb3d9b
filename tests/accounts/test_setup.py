"""The first hour: the set-up link, what is still missing, who it takes, and what `check` says of
the people (X15, X16, X17, A43).
"""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from accounts.models import Duty, SetupLink, User
from approvals import checks
from approvals.people import staffing
from audit.models import Event
from requests.models import Component
from tests.world import html_of

pytestmark = pytest.mark.django_db
FORM = {
    "username": "ada",
    "name": "Ada Byron",
    "email": "ada@example.com",
    "password": "a long enough word 7",
}


@pytest.fixture
def empty(db: None) -> None:
    """An installation without people: nobody can sign in."""
    User.objects.all().update(is_active=False, is_superuser=False)
    for person in User.objects.all():
        person.groups.clear()
    Duty.objects.all().delete()


def link() -> str:
    out = io.StringIO()
    call_command("setup_link", stdout=out)
    found = re.search(r"/setup/\S+", out.getvalue())
    assert found
    return found[0]


def test_the_link_makes_the_first_administrator_and_signs_them_in(
    empty: None, client: Client
) -> None:
    """Contract: one use, hashed at rest, ends with the first administrator; the event tells
    of it.
    """
    address = link()
    assert address.removeprefix("/setup/") not in str(SetupLink.objects.values())
    assert client.get(address).status_code == 200
    assert client.post(address, FORM)["Location"] == "/"
    home = html_of(client.get("/"))
    assert "Still missing" in home
    person = User.objects.get(username="ada")
    assert (person.is_superuser, person.check_password(FORM["password"])) == (True, True)
    assert Event.objects.get(action="person.create", actor=person).data["by"] == "setup link"
    assert [
        Client().get(address).status_code,
        Client().post(address, FORM | {"username": "eve"}).status_code,
    ] == [404, 404]
    with pytest.raises(CommandError):
        link()


def test_a_new_link_replaces_the_old_and_none_outlives_a_day(
    empty: None, client: Client, at: Any
) -> None:
    at("2026-10-01T09:00:00Z")
    first, second = link(), link()
    assert [client.get(first).status_code, client.get(second).status_code] == [404, 200]
    at("2026-10-02T08:59:59Z")
    assert client.get(second).status_code == 200
    at("2026-10-02T09:00:00Z")
    assert [client.get(second).status_code, client.post(second, FORM).status_code] == [404, 404]
    assert client.get("/setup/guess").status_code == 404


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"username": ""}, "username"),
        ({"password": "short"}, "password"),
        ({"password": "password1234"}, "password"),
        ({"email": "x"}, "email"),
    ],
)
def test_what_is_wrong_is_said_and_the_link_still_works(
    empty: None, client: Client, wrong: dict[str, str], field: str
) -> None:
    address = link()
    refused = client.post(address, FORM | wrong)
    assert refused.status_code == 422
    assert f'href="#id_{field}"' in html_of(refused)
    assert client.post(address, FORM).status_code == 302


def test_the_sign_in_page_says_where_the_link_is_never_the_link(
    empty: None, client: Client
) -> None:
    address = link()
    page = html_of(client.get("/accounts/login/"))
    assert "script/manage setup_link" in page
    assert address not in page
    User.objects.create_superuser("root", "r@example.com", "x")
    assert "script/manage setup_link" not in html_of(Client().get("/accounts/login/"))


def test_the_ready_line_prints_it(empty: None) -> None:
    out = io.StringIO()
    call_command("first_steps", "--url=http://127.0.0.1:8000", stdout=out)
    assert re.search(
        r"^Ready: http://127.0.0.1:8000/ .*http://127.0.0.1:8000/setup/[\w-]{40,}", out.getvalue()
    )


def test_the_list_of_what_is_missing_grows_shorter(empty: None) -> None:
    """X16: people for each role that the policy needs, duties, components, the calendar, the first
    change; each with its place.
    """
    Component.objects.all().delete()
    assert [row.href for row in staffing.still_missing()] == [
        "/settings/people/", "/settings/duties/", "/settings/duties/", "/settings/components/",
        "/calendar/rules/", "/changes/",
    ]  # fmt: skip
    Component.objects.create(slug="shop", name="Shop")
    assert "/settings/components/" not in [row.href for row in staffing.still_missing()]


def test_it_says_which_way_is_dead_with_todays_people() -> None:
    """X16: all alive with the demonstration's people; without the CTO and a contact on duty no P0,
    without the DevOps lead no P1 and P2.
    """
    assert {path.priority: path.alive for path in staffing.paths()} == dict.fromkeys(
        ["P0", "P1", "P2", "P3"], True
    )
    User.objects.filter(username="devops-lead").update(is_active=False)
    assert {path.priority: path.alive for path in staffing.paths()} == {
        "P0": True,
        "P1": False,
        "P2": False,
        "P3": True,
    }
    User.objects.filter(username__in=["cto", "emergency-contact"]).update(is_active=False)
    assert {path.priority: path.alive for path in staffing.paths()} == {
        "P0": False,
        "P1": False,
        "P2": False,
        "P3": True,
    }


def test_the_same_person_is_not_two() -> None:
    """A2, A3: somebody who holds both roles alone cannot give both signatures."""
    both = User.objects.get(username="eng-manager")
    both.groups.add(*User.objects.get(username="devops-lead").groups.all())
    User.objects.filter(username="devops-lead").update(is_active=False)
    assert {path.priority: path.alive for path in staffing.paths()}["P1"] is False


def test_check_speaks_of_the_people() -> None:
    """X17, A3, A43: nobody on duty, roles that nobody or one alone holds."""
    assert [warning.id for warning in checks.people(None)] == ["approvals.W004"]
    Duty.objects.filter(kind="emergency-contact").delete()
    User.objects.filter(username="security").update(is_active=False)
    found = {warning.id: warning.msg for warning in checks.people(None)}
    assert "emergency contact" in found["approvals.W001"]
    assert "Security engineer" in found["approvals.W003"]
    assert "Engineering manager" in found["approvals.W004"]


def test_nobody_is_led_where_they_may_not_go() -> None:
    """X15: the menu shows Audit to whom it opens; the count of what waits is a number."""
    for username, reads in (
        ("engineer", False),
        ("tech-lead", False),
        ("change-manager", True),
        ("auditor", True),
    ):
        client = Client()
        client.force_login(User.objects.get(username=username))
        assert ('href="/audit/"' in html_of(client.get("/"))) is reads
        assert (client.get("/audit/").status_code == 200) is reads
