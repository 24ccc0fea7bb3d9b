"""Months that several tests of a file read, built once for them; what a test does is undone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pytest
import time_machine
from django.db import transaction

from accounts.models import User
from tests.reports import month
from tests.world import Desk

Build = Callable[[month.Sit, month.Move], None]


@contextmanager
def built(*builds: Build) -> Iterator[None]:
    """What was built, until the block ends. The clock of the builds only runs forward."""
    desks: dict[str, Desk] = {}

    def sit(username: str) -> Desk:
        if username not in desks:
            desks[username] = Desk(User.objects.get(username=username))
        return desks[username]

    with transaction.atomic():
        with time_machine.travel(0, tick=False) as traveller:
            for build in builds:
                build(sit, lambda at: traveller.move_to(datetime.fromisoformat(at)))
        yield
        transaction.set_rollback(True)


@pytest.fixture(scope="module")
def october(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """October as `month.py` tells it."""
    with django_db_blocker.unblock(), built(month.build):
        yield


@pytest.fixture(scope="module")
def autumn(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """October, and September before it."""
    with django_db_blocker.unblock(), built(month.build_september, month.build):
        yield
