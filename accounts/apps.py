from typing import Any

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        from allauth.account.signals import password_changed, password_reset, password_set
        from allauth.mfa.signals import authenticator_added
        from django.contrib.auth.signals import user_logged_in

        from accounts import stepup

        authenticator_added.connect(stepup.enrolled, dispatch_uid="accounts.enrolled")
        user_logged_in.connect(begin_session, dispatch_uid="accounts.begin_session")
        for signal in (password_changed, password_reset, password_set):
            signal.connect(end_tokens, dispatch_uid="accounts.end_tokens")


def begin_session(sender: Any, request: Any, **kwargs: Any) -> None:
    """Signing in again begins the session's limits anew, also where the session itself goes on."""
    for stamp in ("began", "seen"):
        request.session.pop(stamp, None)


def end_tokens(sender: Any, request: Any, user: Any, **kwargs: Any) -> None:
    """A new password ends the API tokens as it ends the other sessions (F56), and leaves
    its event.
    """
    from accounts import registry
    from audit import trail

    trail.record("person.password", actor=user, data={"person": user.pk})
    registry.revoke_tokens(user, user)
