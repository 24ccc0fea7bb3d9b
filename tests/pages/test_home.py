"""The sentence under the greeting: what waits for this person, and “Nothing waits for you” only
where that is so.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.test import Client

from accounts.models import Duty, User
from tests.implementation.road import SLOT, Road, later
from tests.world import Desk, html_of
from windows.rules import lockdown

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]


def sentence(username: str) -> str:
    client = Client()
    client.force_login(User.objects.get(username=username))
    found = re.search(r"<h1>[^<]+</h1> <p>([^<]*)</p>", html_of(client.get("/")))
    assert found
    return unescape(found[1])


def test_with_nothing_to_do_it_says_so(desk: Sit, at: Any) -> None:
    at("2026-10-01T09:00Z")
    assert (
        sentence("engineer") == sentence("devops") == sentence("oncall") == "Nothing waits for you."
    )


def test_a_booked_change_that_nobody_implements_is_said_to_those_who_could(
    desk: Sit, at: Any
) -> None:
    """X10: whoever may run it is told that nobody does; whoever may not is not."""
    Road(desk, at).scheduled(implementer=None)
    assert sentence("devops2") == "1 of the changes next to run has no implementer yet."
    assert sentence("product-manager") == "Nothing waits for you."


def test_its_implementer_is_told_when(desk: Sit, at: Any) -> None:
    """X10: theirs, with its slot; to a colleague it is settled."""
    number = Road(desk, at).scheduled()
    at(later(SLOT, hours=-3))
    assert (
        sentence("devops") == f"You implement {number}, booked for Tue 6 Oct, 02:00 to 02:45 UTC."
    )
    assert sentence("devops2") == "Nothing waits for you."


def test_an_emergency_that_may_start_is_said(desk: Sit, at: Any) -> None:
    """X10, A33: authorised, and nobody has begun."""
    Road(desk, at).authorised(implementer=None)
    assert sentence("devops2") == "An emergency is authorised: it may start now."


def test_an_emergency_without_its_authorisation_is_said_on_call(desk: Sit, at: Any) -> None:
    """A33: whoever is on call sees what waits for others."""
    at("2026-10-01T09:00Z")
    desk("engineer").submit("P0")
    assert sentence("oncall") == "An emergency waits for its authorisation."
    assert sentence("cto") == "An emergency waits for your decision."


def test_a_duty_that_is_handed_over_is_said(desk: Sit, at: Any) -> None:
    """A43: it stays where it is until it is taken."""
    at("2026-10-01T09:00Z")
    User.objects.get(username="devops").groups.add(
        User.objects.get(username="oncall").groups.get(name="on-call-engineer")
    )
    client = Client()
    client.force_login(User.objects.get(username="oncall"))
    duty = Duty.objects.get(kind="on-call")
    client.post(
        "/settings/duties/", {"hand_over": duty.pk, "to": "devops", "note": "Away from noon"}
    )
    assert sentence("devops") == "A duty is handed over to you."


def test_a_draft_of_ones_own_is_said(desk: Sit, at: Any) -> None:
    """X10: what the page below asks for, the sentence does not deny."""
    at("2026-10-01T09:00Z")
    desk("engineer").create("P2")
    assert sentence("engineer") == "A draft of yours is not submitted yet."


def test_while_everything_is_stopped_no_window_is_promised(desk: Sit, at: Any) -> None:
    """A lockdown without an end leaves no next window: home says so, to everybody."""
    at("2026-10-01T09:00Z")
    lockdown.lock_down(actor=desk("change-manager").user, scope=[], reason="Payments lose orders")
    for username in ("engineer", "devops", "change-manager", "manager", "auditor", "admin"):
        client = Client()
        client.force_login(User.objects.get(username=username))
        assert "No window is planned within 400 days." in html_of(client.get("/"))
