"""What allauth may do here: sign people in, never sign strangers up."""

from __future__ import annotations

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse


class AccountAdapter(DefaultAccountAdapter):
    """allauth's decisions that are ours: no sign-up, addresses of this installation, mails in our
    words.
    """

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False  # administrators make accounts at /settings/people/

    def get_reset_password_from_key_url(self, key: str) -> str:
        """An address of this installation, whatever host the request named."""
        uid, _, token = key.partition("-")
        return str(
            settings.BASE_URL
            + reverse("account_reset_password_from_key", kwargs={"uidb36": uid, "key": token})
        )

    def is_safe_url(self, url: str) -> bool:
        """Whether a sign-in may lead there; what is no address at all is not."""
        try:
            return bool(super().is_safe_url(url))
        except ValueError:
            return False
