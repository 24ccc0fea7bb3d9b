"""What of allauth's addresses is open here: signing in and out, one's password, a second factor, one's sessions.

Accounts and mail addresses are an administrator's, at /settings/people/, where each change leaves its event.
"""

from allauth.account import urls as account
from django.urls import include, path

from accounts.views import SignIn

OPEN = {"account_logout", "account_inactive", "account_reauthenticate", "account_change_password", "account_reset_password"}
OPEN |= {"account_reset_password_done", "account_reset_password_from_key", "account_reset_password_from_key_done"}

urlpatterns = [
    path("login/", SignIn.as_view(), name="account_login"),
    *[pattern for pattern in account.urlpatterns if pattern.name in OPEN],
    path("2fa/", include("allauth.mfa.urls")),
    path("sessions/", include("allauth.usersessions.urls")),
]
