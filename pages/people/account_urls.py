"""What of allauth's addresses is open here: signing in and out, one's password, a second factor,
one's sessions.

Accounts and mail addresses are an administrator's, at /settings/people/, where each change leaves
its event.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.account import urls as allauth_urls
from allauth.mfa.recovery_codes.views import (
    download_recovery_codes,
    generate_recovery_codes,
    view_recovery_codes,
)
from allauth.mfa.totp.views import deactivate_totp
from allauth.mfa.utils import is_mfa_enabled
from django.http import HttpResponseBase
from django.urls import include, path

from accounts import stepup
from pages.people.views import SignIn
from web.http import Request


def asking_again(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """What takes a second factor away, or shows another, asks for the one there is, not for the
    password alone.
    """

    @wraps(view)
    def asked(request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if is_mfa_enabled(request.user):
            stepup.require(request.user)
        return view(request, *args, **kwargs)

    return asked


OPEN = {
    "account_logout",
    "account_inactive",
    "account_reauthenticate",
    "account_change_password",
    "account_reset_password",
}
OPEN |= {
    "account_reset_password_done",
    "account_reset_password_from_key",
    "account_reset_password_from_key_done",
}

urlpatterns = [
    path("login/", SignIn.as_view(), name="account_login"),
    *[pattern for pattern in allauth_urls.urlpatterns if pattern.name in OPEN],
    path("2fa/totp/deactivate/", asking_again(deactivate_totp), name="mfa_deactivate_totp"),
    path("2fa/recovery-codes/", asking_again(view_recovery_codes), name="mfa_view_recovery_codes"),
    path(
        "2fa/recovery-codes/generate/",
        asking_again(generate_recovery_codes),
        name="mfa_generate_recovery_codes",
    ),
    path(
        "2fa/recovery-codes/download/",
        asking_again(download_recovery_codes),
        name="mfa_download_recovery_codes",
    ),
    path("2fa/", include("allauth.mfa.urls")),
    path("sessions/", include("allauth.usersessions.urls")),
]
