"""What a change must say by its priority, its hash and its lines in a diff, as values (A18, A19,
A22, A35).
"""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime
from typing import Any

import pytest

from requests import content

#: A22 by hand: field → what its refusal says, before who needs it. First what every change says.
EVERY = {
    "summary": "Summary: Say in one line what changes.",
    "reason": "Reason: Say why it is worth doing.",
    "components": "Components affected: Name at least one component.",
    "risk": "Risk: Choose low, medium or high.",
    "implementation_steps": "Implementation steps: Say what will be done, one step a line.",
    "rollback_plan": "Rollback plan: Say how to get back, one step a line.",
    "affects_authentication": "Affects authentication: Answer yes or no.",
    "affects_authorization": "Affects authorization: Answer yes or no.",
    "affects_data_access": "Affects data access: Answer yes or no.",
    "affects_network": "Affects network configuration: Answer yes or no.",
}
EMERGENCY = {
    "emergency_kind": (
        "Kind of emergency: Say whether it is a production outage or a security vulnerability."
    ),
    "emergency_reference": (
        "Emergency reference: Give the incident or advisory, or write “none yet”."
    ),
}
PLANNED = {
    "testing_plan": "Testing plan: Say how it will be validated.",
    "dependencies": "Dependencies: Name changes or systems it needs, or write “none”.",
    "downtime_required": "Downtime required: Answer yes or no.",
    "requested_date": "Requested date: Give the earliest date.",
    "estimated_minutes": "Estimated duration: Give the minutes of work.",
}
STANDARD = {
    "rollback_tested": "Rollback evidence: Say what was tried, where and when.",
    "rollback_minutes": "Rollback time: Give the minutes that going back takes.",
    "user_impact": "User impact: Say what users will see, or that they see nothing.",
    "performance_impact": "Performance impact: Say what it does to performance, or “none”.",
    "security_impact": "Security impact: Say what it means for security, or “none”.",
}
NORMAL = {"users_affected": "Will users notice?: Answer yes or no."}
MINUTES_OR_NO = "Downtime: Give the minutes of downtime, or answer “no downtime”."
NEEDS = {
    "P0": EVERY | EMERGENCY,
    "P1": EVERY | PLANNED | STANDARD,
    "P2": EVERY | PLANNED | STANDARD,
    "P3": EVERY | PLANNED | NORMAL,
}
FULL: dict[str, Any] = {
    "emergency_kind": "outage",
    "emergency_reference": "none yet",
    "summary": "S",
    "reason": "R",
    "components": ["search"],
    "risk": "low",
    "implementation_steps": "Deploy",
    "rollback_plan": "Redeploy",
    "rollback_tested": {"what": "3.1 over 3.2", "where": "staging", "when": "2026-09-30"},
    "rollback_minutes": 15,
    "testing_plan": "Look",
    "dependencies": [],
    "downtime_required": False,
    "users_affected": False,
    "user_impact": "None",
    "performance_impact": "None",
    "security_impact": "None",
    "affects_authentication": False,
    "affects_authorization": False,
    "affects_data_access": False,
    "affects_network": False,
    "requested_date": date(2026, 10, 1),
    "estimated_minutes": 30,
}


def missing(priority: str, **more: Any) -> dict[str, str]:
    return content.missing_fields({**FULL, "priority": priority, **more})


@pytest.mark.parametrize("priority", sorted(NEEDS))
def test_an_empty_change_is_told_everything_that_its_priority_needs(priority: str) -> None:
    """R5, R9, R13, R18, R19, R20, R21, R22, R23, R24, R25, R26, R27, R28, R29, R30, R32, R44: each
    field with what to do, and for whom.
    """
    expected = {name: f"{says} {priority} needs it." for name, says in NEEDS[priority].items()}
    assert content.missing_fields({"priority": priority}) == expected
    assert missing(priority) == {}


def test_without_a_priority_it_is_told_what_every_change_needs() -> None:
    """R17: the priority first, and what all of them say."""
    expected = {"priority": "Priority: Choose P0, P1, P2 or P3.", **EVERY}
    for nothing in ({}, {"priority": ""}, {"priority": None}):
        assert content.missing_fields(nothing) == {
            name: f"{says} Every change needs it." for name, says in expected.items()
        }
    assert list(content.missing_fields({"priority": " "})) == ["priority"]


@pytest.mark.parametrize(
    ("value", "empty"),
    [
        (None, True),
        ("", True),
        (" \n", True),
        ("x", False),
        (False, False),
        (0, False),
        ([], False),
        ({}, False),
    ],
)
def test_no_and_nothing_are_answers_and_blanks_are_none(value: Any, empty: bool) -> None:
    """R25, R26: an empty list of dependencies, "no" and 0 are said; white space is not."""
    assert content.is_missing(value) is empty


@pytest.mark.parametrize(
    ("tested", "counts"),
    [
        ({"what": "3.1 over 3.2", "where": "staging", "when": "2026-09-30"}, True),
        ({"what": " ", "where": "staging", "when": "2026-09-30"}, False),
        ({"what": "3.1 over 3.2", "where": "", "when": "2026-09-30"}, False),
        ({"what": "3.1 over 3.2", "where": "staging"}, False),
        ({"change": "CR-2026-09-01-001"}, True),
        ({"change": "", "what": "3.1 over 3.2", "where": "staging"}, False),
        ("staging", False),
        (None, False),
    ],
)
def test_evidence_says_what_where_and_when_or_names_a_change(tested: Any, counts: bool) -> None:
    """R146: for a standard change; a P3's reviewer asks for it instead."""
    assert content.has_evidence(tested) is counts
    found = {
        "rollback_tested": "Rollback evidence: Say what was tried, where and when. P1 needs it."
    }
    assert missing("P1", rollback_tested=tested) == ({} if counts else found)
    assert missing("P3", rollback_tested=tested) == {}


@pytest.mark.parametrize(
    ("priority", "more", "asks"),
    [
        ("P1", {"components": []},
            {"components": "Components affected: Name at least one component. P1 needs it."}),
        ("P0", {"downtime_required": True}, {}),
        ("P3", {"downtime_required": True, "downtime_minutes": 1}, {}),
        ("P3", {"downtime_required": True, "downtime_minutes": 0},
            {"downtime_minutes": MINUTES_OR_NO}),
        ("P1", {"downtime_required": True},
            {"downtime_minutes": MINUTES_OR_NO}),
        ("P1", {"downtime_required": False, "downtime_minutes": 5}, {}),
        ("P3", {"users_affected": True, "user_impact": ""},
            {"user_impact": "User impact: Say what users will see; "
                "you answered that they notice."}),
        ("P3", {"users_affected": True, "user_impact": "A slower page"}, {}),
        ("P3", {"users_affected": False, "user_impact": ""}, {}),
        ("P0", {"users_affected": True, "user_impact": ""}, {}),
        ("P2", {"users_affected": True}, {}),
    ],
)  # fmt: skip
def test_an_answer_may_ask_for_another(
    priority: str, more: dict[str, Any], asks: dict[str, str]
) -> None:
    """R20, R26, R27: how long if there is downtime; what users see if a P3 is noticed; a P0 is
    asked after its end.
    """
    assert missing(priority, **more) == asks


@pytest.mark.parametrize("priority", ["P1", "P2", "P3"])
def test_a_high_risk_goes_by_canary_or_says_why_not(priority: str) -> None:
    """R84: of planned changes; an emergency goes as it must."""
    asks = {
        "strategy_reason": (
            "Why not by canary: say why a high risk goes another way, or choose canary."
        )
    }
    assert missing(priority, risk="high") == asks
    assert missing(priority, risk="high", strategy="rolling", strategy_reason=" ") == asks
    assert missing(priority, risk="high", strategy="rolling", strategy_reason="One node") == {}
    assert missing(priority, risk="high", strategy="canary") == {}
    assert missing(priority, risk="medium", strategy="rolling") == {}
    assert missing("P0", risk="high", strategy="rolling") == {}


def test_the_hash_is_over_the_schemes_fields_in_one_form() -> None:
    """A35: the first scheme by hand: names in order, no spaces, letters as they are, components
    sorted, instants in ISO.
    """
    assert content.SCHEMES[3] == content.NAMES
    assert content.SCHEMES[2] == tuple(
        name for name in content.NAMES if name not in ("no_way_back", "no_way_back_reason")
    )
    assert set(content.SCHEMES[2]) - set(content.SCHEMES[1]) == {
        "risk_answers",
        "strategy_reason",
        "actual_start",
        "actual_end",
    }
    said = {
        "priority": "P1",
        "summary": "Größer",
        "components": ["b", "a"],
        "requested_date": date(2026, 10, 1),
    }
    nulls = dict.fromkeys(content.SCHEMES[1], "null")
    values = nulls | {
        "priority": '"P1"',
        "summary": '"Größer"',
        "components": '["a","b"]',
        "requested_date": '"2026-10-01"',
    }
    canonical = "{" + ",".join(f'"{name}":{values[name]}' for name in sorted(values)) + "}"
    assert content.fingerprint(said, 1) == hashlib.sha256(canonical.encode()).hexdigest()
    assert content.fingerprint({**said, "components": ["a", "b"]}, 1) == content.fingerprint(
        said, 1
    )
    assert content.fingerprint({**said, "strategy_reason": "x"}, 1) == content.fingerprint(said, 1)
    assert content.fingerprint({**said, "strategy_reason": "x"}) != content.fingerprint(said)
    assert (
        len({content.fingerprint(said), content.fingerprint(said, 2), content.fingerprint(said, 1)})
        == 3
    )
    assert content.fingerprint(said) == content.fingerprint(said, 3)
    assert (
        content.fingerprint({})
        == content.fingerprint({"components": []})
        != content.fingerprint({"components": ["a"]})
    )


@pytest.mark.parametrize("priority", ["P0", "P1", "P2", "P3"])
@pytest.mark.parametrize("kind", ["undo", "test"])
def test_without_a_way_back_it_says_why_is_high_and_shows_no_evidence(
    priority: str, kind: str
) -> None:
    """A46, A19: what cannot be tried needs no evidence; why, it says; its risk is high."""
    high = {
        "no_way_back": kind,
        "no_way_back_reason": "The column is dropped",
        "risk": "high",
        "strategy": "canary",
        "rollback_tested": None,
    }
    assert missing(priority, **high) == {}
    assert missing(priority, **high | {"no_way_back_reason": " "}) == {
        "no_way_back_reason": (
            "Why there is no way back: say why it cannot be undone, or why undoing it cannot be"
            " tested."
        )
    }
    if priority != "P0":
        assert list(missing(priority, **high | {"testing_plan": ""})) == ["testing_plan"]
    for risk in ("low", "medium"):
        assert missing(priority, **high | {"risk": risk}) == {
            "risk": "Risk: a change without a way back is high."
        }


def test_content_as_data_has_its_instants_in_iso() -> None:
    at = datetime(2026, 10, 6, 2, tzinfo=UTC)
    assert content.as_data(
        {
            "actual_start": at,
            "requested_date": date(2026, 10, 1),
            "estimated_minutes": 30,
            "components": ["a"],
        }
    ) == {
        "actual_start": "2026-10-06T02:00:00+00:00",
        "requested_date": "2026-10-01",
        "estimated_minutes": 30,
        "components": ["a"],
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "Yes"),
        (False, "No"),
        ("Größer", "Größer"),
        (30, "30"),
        (date(2026, 10, 1), "2026-10-01"),
        (["search", 2], "search\n2"),
        ([], ""),
        ({"wide": True, "tested": False}, "wide: yes, tested: no"),
        (
            {"what": "3.1 over 3.2", "where": "staging", "link": ""},
            "what: 3.1 over 3.2, where: staging",
        ),
        ({"what": True, "where": "staging"}, "what: True, where: staging"),
        ({}, ""),
    ],
)
def test_a_value_is_said_as_a_line_of_a_diff(value: Any, text: str) -> None:
    """R148: what an approver compares reads like the form."""
    assert content.as_text(value) == text
