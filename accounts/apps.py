from typing import Any

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        from django.contrib.auth.signals import user_logged_in

        user_logged_in.connect(begin_session, dispatch_uid="accounts.begin_session")


def begin_session(sender: Any, request: Any, **kwargs: Any) -> None:
    """Signing in again begins the session's limits anew, also where the session itself goes on."""
    for stamp in ("began", "seen"):
        request.session.pop(stamp, None)
