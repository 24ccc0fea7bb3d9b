"""What allauth may do here: sign people in, never sign strangers up."""

from __future__ import annotations

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False  # administrators make accounts at /settings/people/

    def is_safe_url(self, url: str) -> bool:
        """Whether a sign-in may lead there; what is no address at all is not."""
        try:
            return bool(super().is_safe_url(url))
        except ValueError:
            return False
