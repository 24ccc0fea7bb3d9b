"""Step-up: authorising an emergency and publishing a policy ask for the second factor again, where
one is enrolled (F57).

Asked in the service, so that no door forgets it. Outside a request (a shell, the clock) nobody is
there to ask.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from allauth.account.internal.flows.login import get_authentication_records, record_authentication
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.http import HttpRequest

from accounts.models import User
from language.refusal import NotYours, Reason

_request: ContextVar[HttpRequest | None] = ContextVar(
    "the request that is being answered", default=None
)


class StepUpNeeded(Exception):
    """The second factor was confirmed too long ago; the page asks for it and then goes on, the API
    answers 403.
    """

    def __str__(self) -> str:
        return (
            "Confirm your second factor at /accounts/2fa/reauthenticate/, then send this again."
            " Nothing was recorded."
        )


@contextmanager
def answering(request: HttpRequest) -> Iterator[None]:
    """Within the block, `require` asks the session of this request."""
    token = _request.set(request)
    try:
        yield
    finally:
        _request.reset(token)


def enrolled(
    sender: object, request: HttpRequest, user: User, authenticator: Authenticator, **kwargs: object
) -> None:
    """Whoever enrols an authenticator app has given its code at this moment: it is not asked for
    again on the page that follows.
    """
    if authenticator.type == Authenticator.Type.TOTP:
        record_authentication(request, user, method="mfa", type=authenticator.type)


def require(user: User) -> None:
    """Raises StepUpNeeded where the person's second factor was not confirmed within the last 15
    minutes; NotYours where none is enrolled and the house demands one.
    """
    request = _request.get()
    if request is None:
        return
    if not is_mfa_enabled(user):
        if settings.SECOND_FACTOR_REQUIRED:
            raise NotYours(
                [
                    Reason(
                        "second_factor",
                        "This takes a second factor: enrol one at Settings, Me, and come back.",
                    )
                ]
            )
        return
    since = time.time() - settings.ACCOUNT_REAUTHENTICATION_TIMEOUT
    records = get_authentication_records(request, user)
    if not any(record.get("method") == "mfa" and record["at"] > since for record in records):
        raise StepUpNeeded
