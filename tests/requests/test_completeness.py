"""What each priority must say before it is submitted (A22)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from requests import content
from tests.world import Desk, fields

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]
CASES = [
    (priority, field.name)
    for priority in ("P0", "P1", "P2", "P3")
    for field in content.FIELDS
    if priority in field.needed_by and field.name != "priority"
]
EMPTY: dict[str, Any] = {"components": []}


@pytest.mark.parametrize(("priority", "name"), CASES)
def test_a_missing_field_is_named(desk: Sit, at: Any, priority: str, name: str) -> None:
    """A22: one error per field, named as in the contract, and the draft is kept as it was."""
    at("2026-10-01T09:00Z")
    engineer = desk("engineer")
    empty = EMPTY.get(name, "" if isinstance(fields(priority).get(name), str) else None)
    change = engineer.create(priority, **{name: empty})
    answer = engineer.post(f"/changes/{change['id']}/submit", expect=422)
    assert [error["field"] for error in answer["errors"]] == [name]
    assert engineer.get(f"/changes/{change['id']}")["state"] == "draft"


def test_an_empty_list_and_none_are_answers(desk: Sit, at: Any) -> None:
    at("2026-10-01T09:00Z")
    engineer = desk("engineer")
    for answer in ([], "none"):
        change = engineer.submit("P2", dependencies=answer)
        assert (change["state"], change["dependencies"]) == ("in_review", [])


def test_downtime_and_noticed_changes_say_how_much(desk: Sit, at: Any) -> None:
    """R26, R27: duration if applicable; a P3 that users notice says what they see."""
    at("2026-10-01T09:00Z")
    engineer = desk("engineer")
    for priority, more, wanted in (
        ("P2", {"downtime_required": True, "downtime_minutes": None}, ["downtime_minutes"]),
        ("P3", {"users_affected": True, "user_impact": ""}, ["user_impact"]),
    ):
        change = engineer.create(priority, **more)
        answer = engineer.post(f"/changes/{change['id']}/submit", expect=422)
        assert [e["field"] for e in answer["errors"]] == wanted


def test_the_requesters_role_is_copied_at_submission(desk: Sit, at: Any) -> None:
    """R15."""
    at("2026-10-01T09:00Z")
    assert desk("oncall").submit("P2")["requester_role"] == "DevOps engineer, On-call engineer"
