"""The calendar that the process brings is somebody's only when they have said so (X16)."""

from __future__ import annotations

from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from approvals.people import staffing
from audit.models import Event
from tests.windows.rules.test_rules import freeze, save
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]
WAITS, BUTTON = "nobody here has said yet that they are yours", "They are right as they are"
HOME = "Nobody here has said yet that the windows and freezes of the process document are yours."


@pytest.fixture(autouse=True)
def october(at: Any) -> None:
    at("2026-10-01T09:00Z")


def page(username: str, path: str = "/calendar/rules/") -> str:
    client = Client()
    client.force_login(User.objects.get(username=username))
    return unescape(client.get(path).content.decode())


def titles() -> list[str]:
    return [row.title for row in staffing.still_missing()]


def test_the_change_manager_finds_the_rules_right(desk: Sit) -> None:
    """X16: asked of them alone, on the rules' page and at home; kept in the trail once, with the
    names of what was looked at.
    """
    assert "The calendar, looked at" in titles()
    assert (HOME in page("change-manager", "/"), HOME in page("engineer", "/")) == (True, False)
    assert "The calendar's rules wait for a look of yours." in page("change-manager", "/")
    assert (WAITS in page("engineer"), BUTTON in page("engineer")) == (True, False)
    assert BUTTON in page("change-manager")
    client = Client()
    client.force_login(User.objects.get(username="change-manager"))
    for _ in range(2):
        assert WAITS not in client.post("/calendar/rules/", follow=True).content.decode()
    event = Event.objects.get(action="calendar.confirm")
    assert event.actor is not None
    assert event.actor.username == "change-manager"
    assert {"Primary", "Secondary"} <= {
        word for name in event.data["rules"] for word in name.title().split()
    }
    assert WAITS not in page("engineer")
    assert HOME not in page("change-manager", "/")
    assert "The calendar, looked at" not in titles()


@pytest.mark.parametrize("username", ["engineer", "devops-lead", "cto", "auditor", "admin"])
def test_nobody_else_says_so(desk: Sit, username: str) -> None:
    """A26: whoever may not edit the calendar does not vouch for it."""
    client = Client()
    client.force_login(User.objects.get(username=username))
    assert client.post("/calendar/rules/").status_code == 403
    assert not Event.objects.filter(action="calendar.confirm").exists()


def test_an_edit_is_a_look(desk: Sit) -> None:
    """X16: whoever has narrowed it has looked; the first change alone is no look at the
    calendar.
    """
    desk("engineer").submit("P2")
    assert "The calendar, looked at" in titles()
    assert "The first change" not in titles()
    save(desk, freeze("the move", "2027-10-06T00:00Z", "2027-10-07T00:00Z"))
    assert "The calendar, looked at" not in titles()
