"""allauth's pages are drawn by ours: at the door and about one's own account (issue 12, item 4)."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.test import Client

from accounts.models import User
from tests.world import html_of

pytestmark = pytest.mark.django_db

SIGNED_IN = [
    ("/accounts/logout/", "Sign out"),
    ("/accounts/password/change/", "Change password"),
    ("/accounts/2fa/", "Second factor"),
    ("/accounts/sessions/", "Sessions"),
]
AT_THE_DOOR = [
    ("/accounts/login/", "Sign in"),
    ("/accounts/inactive/", "You may not sign in"),
    ("/accounts/password/reset/", "A new password"),
    ("/accounts/password/reset/done/", "Look into your mail"),
    ("/accounts/password/reset/key/done/", "Your password is kept"),
    ("/accounts/password/reset/key/0-nonsense/", "This link works no more"),
]
Open = Callable[[str], str]


@pytest.fixture
def signed_in() -> Client:
    client = Client()
    client.force_login(User.objects.get(username="engineer"))
    return client


def heading(client: Client, path: str) -> str:
    answer = client.get(path, follow=True)
    assert answer.status_code == 200
    found = re.search(r"<h1[^>]*>(.*?)</h1>", html_of(answer))
    assert found
    return found[1]


@pytest.mark.parametrize(("path", "title"), AT_THE_DOOR)
def test_at_the_door(path: str, title: str) -> None:
    assert heading(Client(), path) == title


@pytest.mark.parametrize(("path", "title"), SIGNED_IN)
def test_ones_own_account(signed_in: Client, path: str, title: str) -> None:
    assert heading(signed_in, path) == title


def test_a_second_factor_and_its_codes(signed_in: Client) -> None:
    """Which pages are there follows from what is set up; each says how many codes are left."""
    user = User.objects.get(username="engineer")
    assert "No authenticator app is set up." in html_of(signed_in.get("/accounts/2fa/"))
    TOTP.activate(user, generate_totp_secret())
    RecoveryCodes.activate(user)
    shown = html_of(signed_in.get("/accounts/2fa/"))
    assert "Signing in asks for a code from your authenticator app." in shown
    assert "10 of 10 recovery codes are left." in shown


def test_who_has_to_show_again_who_they_are(signed_in: Client) -> None:
    assert heading(signed_in, "/accounts/reauthenticate/") == "Confirm access"
    TOTP.activate(User.objects.get(username="engineer"), generate_totp_secret())
    assert heading(signed_in, "/accounts/2fa/reauthenticate/") == "Confirm access"


def test_setting_up_an_app_asks_for_the_password_first(signed_in: Client) -> None:
    user = User.objects.get(username="engineer")
    user.set_password("a long and new one")
    user.save()
    client = Client()
    client.post("/accounts/login/", {"login": "engineer", "password": "a long and new one"})
    asked = client.get("/accounts/2fa/totp/activate/", follow=True)
    assert "Confirm access" in html_of(asked)
    [(where, _)] = asked.redirect_chain
    shown = html_of(client.post(where, {"password": "a long and new one"}, follow=True))
    secret = re.search(r'id="authenticator_secret" type="text" value="([A-Z2-7]+)"', shown)
    assert secret
    assert f'alt="{secret[1]}"' in shown
