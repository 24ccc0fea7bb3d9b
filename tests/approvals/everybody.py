"""The demonstration's people, one and all, to be tried against a rule one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction

EVERYBODY = (
    *("engineer", "engineer2", "devops", "devops2", "senior-devops", "devops-lead", "tech-lead"),
    *("eng-manager", "product-manager", "security", "cto", "emergency-contact", "oncall"),
    *("change-manager", "manager", "auditor", "admin"),
)


def only(*usernames: str) -> dict[str, int]:
    """The statuses where these may and everybody else may not."""
    return dict.fromkeys(EVERYBODY, 403) | dict.fromkeys(usernames, 200)


@contextmanager
def tried_only() -> Iterator[None]:
    """What is done within is undone, so that the next one finds everything as it was."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
