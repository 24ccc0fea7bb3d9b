"""The state machine is held twice, in Python and in the database, and both hold the same table."""

from __future__ import annotations

import re

import pytest
from django.db import Error, connection, transaction
from django.utils import timezone

from accounts.models import User
from requests import lifecycle
from requests.models import ChangeRequest
from requests.states import MOVES, TRANSITIONS, State

pytestmark = pytest.mark.django_db


def make(state: str) -> ChangeRequest:
    """A row in that state, as the demonstration's loader makes them."""
    now = timezone.now()
    ended = state in {"completed", "rolled_back", "failed", "closed"}
    change = ChangeRequest(
        number=f"CR-2026-01-01-{ChangeRequest.objects.count() + 500}", origin="demo",
        requester=User.objects.get(username="engineer"), priority="P2",
        content_hash="x", approved_hash="x", approved_at=now, started_at=now, slot_start=now,
        slot_end=now + timezone.timedelta(minutes=30),
        outcome="completed" if ended else "",
    )  # fmt: skip

    change.__dict__["state"] = state
    change.save()
    return change


def test_the_database_allows_exactly_the_moves_of_the_state_machine() -> None:
    """F23: every (from, to) pair by raw SQL; only those of the lifecycle pass."""
    allowed = set()
    for source in State.values:
        change = make(source)
        for target in State.values:
            try:
                with transaction.atomic(), connection.cursor() as cursor:
                    cursor.execute(
                        "UPDATE requests_changerequest SET state = %s, outcome = 'completed' WHERE"
                        " id = %s",
                        [target, change.pk],
                    )
                    if source != target:
                        allowed.add((source, target))
                    raise Rollback
            except Rollback:
                pass
            except Error as problem:
                assert re.search("does not move|violates check", str(problem))
    assert allowed == set(MOVES)


class Rollback(Exception):
    """Undo the probe."""


def test_every_pair_of_the_lifecycle_is_a_transition() -> None:
    several = [
        (sources, t if isinstance(t, tuple) else (t,)) for sources, t in TRANSITIONS.values()
    ]
    pairs = {
        (str(s), str(t)) for sources, targets in several for s in sources for t in targets if s != t
    }
    assert pairs == set(MOVES)
    assert set(TRANSITIONS) == set(lifecycle.LABELS)


@pytest.mark.parametrize("origin", ["app", "import"])
def test_a_change_begins_as_a_draft(origin: str) -> None:
    """An import may also bring what has ended; nothing else begins elsewhere."""
    outcomes = {}
    for state in State.values:
        try:
            with transaction.atomic():
                change = make("draft") if state == "draft" else None
                if change is None:
                    with connection.cursor() as cursor:
                        cursor.execute(
                            "CREATE TEMP TABLE copy ON COMMIT DROP AS SELECT * FROM"
                            " requests_changerequest LIMIT 0"
                        )
                    row = make("closed")
                    with connection.cursor() as cursor:
                        columns = [
                            f.column
                            for f in ChangeRequest._meta.concrete_fields
                            if f.column not in ("id", "search", "number", "state", "origin")
                        ]
                        names = ", ".join(columns)
                        cursor.execute(
                            f"INSERT INTO requests_changerequest (number, state, origin, {names})"
                            f" SELECT 'CR-1', %s, %s, {names} FROM requests_changerequest WHERE id"
                            " = %s",
                            [state, origin, row.pk],
                        )
                outcomes[state] = True
                raise Rollback
        except Rollback:
            pass
        except Error:
            outcomes[state] = False
    passed = {state for state, ok in outcomes.items() if ok}
    assert passed == (
        {"draft"}
        if origin == "app"
        else {"draft", "completed", "rolled_back", "failed", "closed", "rejected", "cancelled"}
    )


def test_origin_and_number_never_change_and_no_change_is_deleted() -> None:
    """A14: a draft is never deleted, only cancelled."""
    change = make("draft")
    for sql in (
        "UPDATE requests_changerequest SET origin = 'app' WHERE id = %s",
        "UPDATE requests_changerequest SET number = 'CR-2' WHERE id = %s",
        "DELETE FROM requests_changerequest WHERE id = %s",
    ):
        with pytest.raises(Error), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql, [change.pk])


def test_an_approved_change_carries_the_hash_that_was_approved() -> None:
    """Promise 1, in the database: approved content and present content are one."""
    change = make("approved")
    with pytest.raises(Error), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE requests_changerequest SET content_hash = 'other' WHERE id = %s", [change.pk]
        )


def test_there_is_one_door(settings: object) -> None:
    """No module but lifecycle calls a transition method."""
    from pathlib import Path

    root = Path(__file__).parents[2]
    names = "|".join(TRANSITIONS)
    calls = re.compile(rf"\bchange\.({names})\(")
    found = [
        f"{path.relative_to(root)}: {line.strip()}"
        for app in ("approvals", "implementation", "windows", "requests", "reports", "changemgmt")
        for path in (root / app).rglob("*.py")
        for line in path.read_text().splitlines()
        if calls.search(line)
    ]
    assert found == []
