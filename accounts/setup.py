"""The first hour: one link, one use, by which the first administrator makes themselves (X16,
contract).
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from accounts import registry
from accounts.models import SetupLink, User
from audit import trail
from language.refusal import Invalid, Missing, Reason

LASTS = timedelta(hours=24)


def is_needed() -> bool:
    """Whether nobody administers this installation yet."""
    return not User.objects.filter(is_superuser=True, is_active=True).exists()


@transaction.atomic
def make_link() -> str:
    """A new link's path; any earlier one is void. Only its hash is kept. Raises Missing once there
    is an administrator.
    """
    if not is_needed():
        raise Missing(
            [
                Reason(
                    "settled",
                    "This installation has an administrator already; people are made at"
                    " /settings/people/.",
                )
            ]
        )
    token = secrets.token_urlsafe(32)
    SetupLink.objects.all().delete()
    SetupLink.objects.create(digest=_digest(token), created_at=timezone.now())
    return f"/setup/{token}"


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def check(token: str, *, lock: bool = False) -> SetupLink:
    """The link, if it still opens. Raises Missing, the same for a wrong and an old one; once there
    is an administrator, for every one.
    """
    rows = SetupLink.objects.select_for_update() if lock else SetupLink.objects
    found = rows.filter(digest=_digest(token), created_at__gt=timezone.now() - LASTS).first()
    if not is_needed():
        raise Missing(
            [
                Reason(
                    "missing",
                    "An administrator has been made already: this link has done its work. Sign in,"
                    " or ask them.",
                )
            ]
        )
    if found is None:
        raise Missing(
            [
                Reason(
                    "missing",
                    "This link is used, replaced, or older than a day. script/manage setup_link"
                    " prints a new one.",
                )
            ]
        )
    return found


@transaction.atomic
def make_administrator(*, token: str, username: str, name: str, email: str, password: str) -> User:
    """The first POST wins: its sender administers people, roles and duties. Raises Missing, and
    Invalid by field.
    """
    link = check(token, lock=True)
    person = User(is_superuser=True, is_staff=False)
    wrong = registry.wrong_identity(person, username, name, email, "") | registry.wrong_password(
        person, password
    )
    if wrong:
        raise Invalid(fields=wrong)
    person.username, person.name, person.email = username, name, email
    person.set_password(password)
    person.save()
    link.delete()
    trail.record(
        "person.create",
        actor=person,
        data={"person": person.pk, "administrator": True, "by": "setup link"},
    )
    return person
