"""The mail by which a new person chooses their own password: a link that works once (X16).

It goes straight to the mail server and stands nowhere else: whoever holds the link is that person.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from allauth.account.adapter import get_adapter
from allauth.account.app_settings import PASSWORD_RESET_TOKEN_GENERATOR
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.utils import timezone

from accounts.models import User
from accounts.registry import check_administrator
from audit import trail
from language.refusal import Blocked, Reason
from language.say import say_instant

log = logging.getLogger(__name__)


def is_open(person: User) -> bool:
    """Whether somebody may still be invited: they may sign in and never have."""
    return person.is_active and person.last_login is None


def send(*, actor: User, person: User) -> str:
    """Mail the link; what is said of it. Raises NotYours, Blocked for whoever has signed in, or
    where the mail server takes nothing.
    """
    check_administrator(actor)
    if not person.is_active:
        raise Blocked([Reason("state", f"{person} may not sign in; tick that first.")])
    if not is_open(person):
        raise Blocked(
            [
                Reason(
                    "state",
                    f"{person} has signed in already: “Forgotten the password?” stands where one"
                    " signs in.",
                )
            ]
        )
    until = timezone.now() + timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT)
    key = f"{user_pk_to_url_str(person)}-{PASSWORD_RESET_TOKEN_GENERATOR().make_token(person)}"
    adapter = get_adapter()
    said = {
        "person": person,
        "actor": actor,
        "link": adapter.get_reset_password_from_key_url(key),
        "until": say_instant(until),
    }
    try:
        adapter.send_mail("account/email/invitation", person.email, said)
    except (
        OSError,
        ValueError,
    ) as problem:  # the server refuses or is away; the address cannot be written into a mail
        log.warning("invitation of person %s was not taken: %s", person.pk, type(problem).__name__)
        why = (
            f"{person} is saved, but the mail server took no mail to {person.email}. Send it again"
            " later, or set a first password."
        )
        raise Blocked([Reason("mail", why)]) from None
    trail.record("person.invite", actor=actor, data={"person": person.pk})
    return f"{person} has a link by mail to choose a password; it works until {said['until']}."
