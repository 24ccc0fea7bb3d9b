"""Which fields a change must have before it is submitted: the tables of A22, by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]

#: P0, before the authorisation: what, why, where, risk; a line each of what is done and how it is
#: undone; the security questions; which emergency.
P0: dict[str, Any] = {
    "summary": "Checkout answers 502",
    "reason": "No orders since 08:55.",
    "components": ["checkout"],
    "risk": "low",
    "implementation_steps": "Restart the gateway",
    "rollback_plan": "Switch back to the old pool",
    "affects_authentication": False,
    "affects_authorization": False,
    "affects_data_access": False,
    "affects_network": False,
    "emergency_kind": "outage",
    "emergency_reference": "none yet",
}
#: P1 and P2: every field of the template, evidence of the tested rollback, the security questions.
STANDARD: dict[str, Any] = {
    "summary": "Search: refresh the index every 5 s",
    "reason": "New products are found too late.",
    "components": ["search"],
    "risk": "low",
    "implementation_steps": "Deploy 3.2",
    "rollback_plan": "Redeploy 3.1",
    "rollback_tested": {
        "what": "3.1 over 3.2",
        "where": "staging",
        "when": "2026-09-30",
        "link": "https://ci.example.com/1",
    },
    "rollback_minutes": 15,
    "testing_plan": "Look for the newest product.",
    "dependencies": "none",
    "downtime_required": False,
    "user_impact": "None expected.",
    "performance_impact": "Two per cent more CPU.",
    "security_impact": "none",
    "affects_authentication": False,
    "affects_authorization": False,
    "affects_data_access": False,
    "affects_network": False,
    "requested_date": "2026-10-01",
    "estimated_minutes": 30,
}
#: P3: change and technical details, downtime, date, duration, "will users notice?", the security
#: questions.
NORMAL: dict[str, Any] = {
    "summary": "Cache pictures longer",
    "reason": "The same pictures are asked for too often.",
    "components": ["cdn"],
    "risk": "low",
    "implementation_steps": "Set the header",
    "rollback_plan": "Take the header away",
    "testing_plan": "Ask for a picture twice.",
    "dependencies": "none",
    "downtime_required": False,
    "users_affected": False,
    "affects_authentication": False,
    "affects_authorization": False,
    "affects_data_access": False,
    "affects_network": False,
    "requested_date": "2026-10-01",
    "estimated_minutes": 30,
}
TABLES: dict[str, dict[str, Any]] = {"P0": P0, "P1": STANDARD, "P2": STANDARD, "P3": NORMAL}
HOW_MANY = {"P0": 12, "P1": 20, "P2": 20, "P3": 16}

#: What a P0 still owes of the template within 24 hours of its end, in the template's order.
OWED_BY_P0 = [
    "rollback_tested",
    "rollback_minutes",
    "testing_plan",
    "dependencies",
    "downtime_required",
    "user_impact",
    "performance_impact",
    "security_impact",
    "requested_date",
    "estimated_minutes",
]
TEXTS = {"summary", "reason", "implementation_steps", "rollback_plan", "emergency_reference"}
TEXTS |= {"testing_plan", "user_impact", "performance_impact", "security_impact"}


@pytest.fixture(autouse=True)
def october(at: Any) -> None:
    at("2026-10-01T09:00Z")


def asked(engineer: Desk, priority: str, values: dict[str, Any]) -> list[str]:
    """The fields that a submission of these values names; none, and it is in review."""
    number = engineer.post("/changes", {"priority": priority, **values}, expect=201)["id"]
    answer = engineer.call("POST", f"/changes/{number}/submit", {})
    status, state = engineer.status, engineer.get(f"/changes/{number}")["state"]
    if status == 200:
        assert state == answer["state"] == "in_review"
        return []
    assert (status, answer["status"], state) == (422, 422, "draft")
    assert all(error["message"] for error in answer["errors"])
    return [error["field"] for error in answer["errors"]]


@pytest.mark.parametrize("priority", ["P0", "P1", "P2", "P3"])
def test_each_field_of_the_table_is_asked_when_it_alone_is_missing(
    desk: Sit,
    priority: str,
) -> None:
    """R18, R19, R20, R21, R22, R23, R24, R25, R26, R27, R28, R29, R30, R32, R44, A19, A22."""
    table, engineer = TABLES[priority], desk("engineer")
    assert len(table) == HOW_MANY[priority]
    without = {name: {n: v for n, v in table.items() if n != name} for name in table}
    found = {name: asked(engineer, priority, values) for name, values in without.items()}
    assert found == {name: [name] for name in table}


@pytest.mark.parametrize("priority", ["P0", "P1", "P2", "P3"])
def test_the_fields_of_the_table_are_enough(desk: Sit, priority: str) -> None:
    """R5, R9, R13, R31, A22: nothing that stands in no table is asked, the window neither."""
    assert asked(desk("engineer"), priority, TABLES[priority]) == []


@pytest.mark.parametrize("priority", ["P0", "P1", "P2", "P3"])
def test_an_empty_change_is_told_its_whole_table_at_once(desk: Sit, priority: str) -> None:
    """A22, contract: one entry per missing field, each once."""
    assert sorted(asked(desk("engineer"), priority, {})) == sorted(TABLES[priority])


@pytest.mark.parametrize("priority", ["P0", "P1", "P2", "P3"])
def test_null_and_blanks_are_no_answers(desk: Sit, priority: str) -> None:
    """R18, R19, R22, R23, R24, R27, R28, R29, A22: nothing said is nothing said, however sent."""
    table, engineer = TABLES[priority], desk("engineer")
    null = {name: [] if name == "components" else None for name in table}
    assert sorted(asked(engineer, priority, null)) == sorted(table)
    blank = dict.fromkeys(TEXTS & set(table), "  \n ")
    assert sorted(asked(engineer, priority, {**table, **blank})) == sorted(blank)


@pytest.mark.parametrize(
    ("priority", "values", "expected"),
    [
        ("P1", {"downtime_required": True}, ["downtime_minutes"]),
        ("P2", {"downtime_required": True}, ["downtime_minutes"]),
        ("P3", {"downtime_required": True}, ["downtime_minutes"]),
        ("P1", {"downtime_required": True, "downtime_minutes": 1}, []),
        ("P3", {"downtime_required": True, "downtime_minutes": 1}, []),
        ("P0", {"downtime_required": True}, []),
        ("P3", {"users_affected": True}, ["user_impact"]),
        ("P3", {"users_affected": True, "user_impact": "Prices move."}, []),
        ("P1", {"users_affected": True}, []),
        ("P0", {"users_affected": True}, []),
        ("P2", {"dependencies": []}, []),
        ("P0", {"emergency_kind": "vulnerability"}, []),
    ],
)
def test_what_an_answer_makes_needed(
    desk: Sit,
    priority: str,
    values: dict[str, Any],
    expected: list[str],
) -> None:
    """R2, R25, R26, R27, A22: how long if there is downtime; what users see if a P3 is noticed."""
    assert asked(desk("engineer"), priority, {**TABLES[priority], **values}) == expected


@pytest.mark.parametrize("part", ["what", "where", "when"])
def test_evidence_of_the_rollback_says_what_where_and_when(desk: Sit, part: str) -> None:
    """R146, A19: a standard change carries all of it; a P3 is asked for it by its reviewer."""
    tested = {**STANDARD["rollback_tested"], part: " "}
    found = {}
    for priority, table in TABLES.items():
        values = {**table, "rollback_tested": tested}
        found[priority] = asked(desk("engineer"), priority, values)
    asks = ["rollback_tested"]
    assert found == {"P0": [], "P1": asks, "P2": asks, "P3": []}


def test_a_change_becomes_a_p0_only_with_the_emergencys_fields(desk: Sit) -> None:
    """R2, A22: escalating asks for kind and reference, each by its name."""
    engineer = desk("engineer")
    number = engineer.post("/changes", {"priority": "P3", **NORMAL}, expect=201)["id"]
    engineer.post(f"/changes/{number}/submit")
    full = {"reason": "Down", "emergency_kind": "outage", "emergency_reference": "none yet"}
    for name in full:
        body = {**full, name: ""}
        answer = engineer.post(f"/changes/{number}/escalate", body, expect=422)
        assert [error["field"] for error in answer["errors"]] == [name]
    assert engineer.post(f"/changes/{number}/escalate", full)["priority"] == "P0"


def test_a_p0_owes_the_rest_of_the_template_after_its_end(desk: Sit) -> None:
    """R5, R24, R25, R26, R27, R28, R29, R30, R32, A13, A19, A22: these ten, until supplied."""
    engineer = desk("engineer")
    number = engineer.post("/changes", {"priority": "P0", **P0}, expect=201)["id"]
    engineer.post(f"/changes/{number}/submit")
    desk("cto").decide(number, "emergency")
    desk("oncall").post(f"/changes/{number}/start")
    desk("oncall").post(f"/changes/{number}/fail", {"reason": "It did not help"})
    assert engineer.get(f"/changes/{number}/documentation")["owed"] == OWED_BY_P0
    path, values = f"/changes/{number}/documentation", {n: STANDARD[n] for n in OWED_BY_P0[1:]}
    assert engineer.put(path, values)["owed"] == ["rollback_tested"]
    assert engineer.put(path, {n: STANDARD[n] for n in OWED_BY_P0})["owed"] == []
