"""Step-up: authorising an emergency and publishing a policy ask for the second factor again (issue
3 item 10, F57).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import TOTP
from django.core.cache import caches
from django.test import Client

from accounts.models import User
from approvals.models import Decision, Policy, Step
from proposals.models import Proposal
from tests.accounts.test_people import code
from tests.approvals.policy_editor.test_policy_editor import Editor
from tests.approvals.rounds.test_mail_links import link_for
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def enrolled(username: str) -> User:
    user = User.objects.get(username=username)
    user.set_password("a long first one")
    user.save()
    TOTP.activate(user, SECRET)
    return user


def confirm(client: Client, address: str) -> Any:
    """Give the code on the page that was asked for."""
    caches["default"].clear()  # where allauth keeps the codes used up
    return client.post(address, {"code": code(SECRET, time.time())})


def test_an_emergency_is_authorised_with_a_fresh_second_factor(desk: Sit, at: Any) -> None:
    """The click leads to the code and, the code given, goes on by itself; for 15 minutes no other
    is asked; then again.
    """
    at("2026-10-01T09:00Z")
    cto = enrolled("cto")
    first, second, third = (str(desk("engineer").submit("P0")["id"]) for _ in range(3))
    client = Client()
    client.force_login(cto)

    def click(number: str) -> Any:
        step = Step.objects.get(change__number=number, kind="emergency")
        return client.post(
            f"/changes/{number}/decide/{step.pk}",
            {"verdict": "approve", "version": "1", "comment": "Go on"},
        )

    asked = click(first)
    assert asked.status_code == 302
    assert asked["Location"].startswith("/accounts/2fa/reauthenticate/")
    assert client.get(asked["Location"]).status_code == 200
    assert not Decision.objects.exists()
    assert client.post(asked["Location"], {"code": "000000"}).status_code == 200
    assert not Decision.objects.exists()
    assert confirm(client, asked["Location"]).status_code == 302
    assert Decision.objects.get().comment == "Go on", "nothing that was typed is lost"
    assert click(second)["Location"] == f"/changes/{second}/"
    at("2026-10-01T09:15:01Z")
    assert click(third)["Location"].startswith("/accounts/2fa/reauthenticate/")
    assert Decision.objects.count() == 2


def test_every_door_asks(desk: Sit, at: Any) -> None:
    """API, card, mail's link: 403 or the page for the code; rejecting needs none, nor does a
    sign-off; a person without one is let through.
    """
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P0")["id"])
    enrolled("cto")
    answer = desk("cto").decide(number, "emergency", expect=403)
    assert answer["code"] == "reauthenticate"
    client = desk("cto").client
    step = Step.objects.get(change__number=number, kind="emergency")
    for address in (f"/approvals/{step.pk}/", link_for("cto", number)):
        assert client.post(address, {"verdict": "approve", "version": "1"})["Location"].startswith(
            "/accounts/2fa/reauthenticate/"
        )
    assert not Decision.objects.exists()
    desk("cto").decide(number, "emergency", "reject", comment="No outage")
    other = str(desk("engineer").submit("P0")["id"])
    desk("emergency-contact").decide(other, "emergency")


def test_by_telephone_it_is_the_recorder_who_confirms(desk: Sit, at: Any) -> None:
    """Whoever records an approval by telephone authorises the emergency at once: their second
    factor is asked for.
    """
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P0")["id"])
    enrolled("oncall")
    assert (
        desk("oncall").decide(number, "emergency", on_behalf_of="cto", expect=403)["code"]
        == "reauthenticate"
    )


def test_publishing_a_policy_and_confirming_one_ask_too(desk: Sit, at: Any) -> None:
    """The manager who publishes, and the second person who widens."""
    at("2026-10-01T09:00Z")
    enrolled("change-manager")
    enrolled("devops-lead")
    editor = Editor()
    editor.save("P3-2-0", roles=["engineer"])
    asked = editor.client.post(
        f"/settings/policy/drafts/{editor.key}/publish",
        {"revision": editor.draft.revision, "reason": "We trust them"},
    )
    assert asked["Location"].startswith("/accounts/2fa/reauthenticate/")
    assert not Proposal.objects.exists()
    confirm(editor.client, asked["Location"])
    key = Proposal.objects.get().pk
    assert (
        desk("devops-lead").post(f"/proposals/{key}/confirm", expect=403)["code"]
        == "reauthenticate"
    )
    assert Policy.objects.count() == 1
    desk("cto").post(f"/proposals/{key}/confirm")


def test_a_house_may_demand_one(desk: Sit, at: Any, settings: Any) -> None:
    """The setting, off by default: without a second factor no emergency is authorised; what to do
    is said.
    """
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P0")["id"])
    settings.SECOND_FACTOR_REQUIRED = True
    answer = desk("cto").decide(number, "emergency", expect=403)
    assert (answer["code"], "enrol one at Settings" in answer["detail"]) == ("second_factor", True)
    settings.SECOND_FACTOR_REQUIRED = False
    desk("cto").decide(number, "emergency")
