"""What an emergency owes after its implementation, and what closes it (R5, A2, A13, A22)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.implementation.road import EVERYBODY, MORNING, Road, Sit, tried, why

pytestmark = pytest.mark.django_db
#: All that A22 asks of a P0 before its authorisation.
BARE: dict[str, Any] = {
    "priority": "P0",
    "summary": "Checkout answers 502",
    "reason": "No orders since 08:55",
    "components": ["checkout"],
    "risk": "low",
    "implementation_steps": "Restart the gateway",
    "rollback_plan": "Switch back to the old pool",
    "emergency_kind": "outage",
    "emergency_reference": "none yet",
    "affects_authentication": False,
    "affects_authorization": False,
    "affects_data_access": False,
    "affects_network": False,
    "implementer": "devops",
}
#: What is owed within 24 hours of the end, in the template's order, and an answer to each.
OWED: dict[str, Any] = {
    "rollback_tested": {"what": "Switched back", "where": "staging", "when": "2026-10-01"},
    "rollback_minutes": 5,
    "testing_plan": "Place an order",
    "dependencies": "none",
    "downtime_required": False,
    "user_impact": "Orders failed for 25 minutes",
    "performance_impact": "none",
    "security_impact": "none",
    "requested_date": "2026-10-01",
    "estimated_minutes": 20,
}


def ended(road: Road, **more: Any) -> str:
    """A P0 of which nothing was said but what had to be, failed on the Thursday morning."""
    road.at(MORNING)
    desk = road.desk
    number = str(desk("engineer").post("/changes", BARE | more, expect=201)["id"])
    desk("engineer").post(f"/changes/{number}/submit")
    desk("cto").decide(number, "emergency")
    desk("devops").post(f"/changes/{number}/start")
    desk("devops").post(f"/changes/{number}/fail", {"reason": "It did not help"})
    return number


def owed(desk: Sit, number: str) -> list[str]:
    found: list[str] = desk("auditor").get(f"/changes/{number}/documentation")["owed"]
    return found


def supply(desk: Sit, number: str, who: str = "devops", expect: int = 200, **values: Any) -> Any:
    return desk(who).put(f"/changes/{number}/documentation", values, expect=expect)


def test_an_emergency_owes_what_its_authorisation_did_not_ask(desk: Sit, road: Road) -> None:
    """R5, A22: ten fields, in the template's order; the page asks for the same."""
    number = ended(road)
    found = desk("engineer").get(f"/changes/{number}/documentation")
    assert found == {"version": 0, "values": {}, "owed": list(OWED)}
    assert "10 fields owed" in road.page(number)


def test_each_field_that_comes_is_owed_no_more_and_makes_a_version(desk: Sit, road: Road) -> None:
    """A22: one after the other, by whoever has it; each version holds what came before."""
    number, left = ended(road), list(OWED)
    for version, (name, value) in enumerate(OWED.items(), start=1):
        found = supply(desk, number, **{name: value})
        left.remove(name)
        assert (found["version"], found["owed"]) == (version, left)
        assert sorted(found["values"]) == sorted(list(OWED)[:version])
    assert found["values"]["estimated_minutes"] == 20
    assert found["values"]["requested_date"] == "2026-10-01"


def test_downtime_that_was_needed_is_owed_in_minutes(desk: Sit, road: Road) -> None:
    """R26, A22: yes asks for how long."""
    number = ended(road)
    supply(desk, number, **(OWED | {"downtime_required": True}))
    assert owed(desk, number) == ["downtime_minutes"]
    supply(desk, number, downtime_minutes=25)
    assert owed(desk, number) == []


@pytest.mark.parametrize("part", ["what", "where", "when"])
def test_evidence_of_a_tested_rollback_is_whole_or_owed(desk: Sit, road: Road, part: str) -> None:
    """R146, A19, A22: what, where and when."""
    number = ended(road)
    tested = {name: value for name, value in OWED["rollback_tested"].items() if name != part}
    supplied = OWED | {"rollback_tested": tested}
    desk("devops").call("PUT", f"/changes/{number}/documentation", supplied)
    assert "rollback_tested" in owed(desk, number)


def test_implementer_requester_and_change_manager_document(desk: Sit, road: Road) -> None:
    """R5, A22: by table of the demo users; each is an event of its own."""
    number, may = ended(road), set()
    for person in EVERYBODY:
        with tried():
            desk(person).call("PUT", f"/changes/{number}/documentation", {"estimated_minutes": 20})
            assert desk(person).status in (200, 403)
            if desk(person).status == 200:
                may.add(person)
                data = {
                    "version": 1,
                    "fields": ["estimated_minutes"],
                    "late": False,
                    "content": {"estimated_minutes": 20},
                }
                ((_, actor, at, said),) = road.events(number, "implementation.document")
                assert (actor, at, said) == (person, MORNING, data)
    assert may == {"devops", "engineer", "change-manager"}


AUTHORISED = [name for name in BARE if name != "implementer"]


@pytest.mark.parametrize("name", AUTHORISED)
def test_what_was_authorised_is_not_changed_afterwards(desk: Sit, road: Road, name: str) -> None:
    """A22: documentation stands outside the content that was authorised."""
    number = ended(road)
    before = desk("auditor").get(f"/changes/{number}")
    values = {name: BARE[name], "estimated_minutes": 20}
    refusal = supply(desk, number, expect=422, **values)
    assert [error["field"] for error in refusal["errors"]] == [name]
    supply(desk, number, **OWED)
    assert desk("auditor").get(f"/changes/{number}") == before, "the change says what it said"


def test_documentation_is_an_emergencys_and_comes_after_its_end(desk: Sit, road: Road) -> None:
    """A22: 409 for a planned change, and while it runs."""
    number = road.failed()
    assert why(supply(desk, number, expect=409, estimated_minutes=20)) == ["state"]
    running = road.implementing("P0", testing_plan="")
    assert why(supply(desk, running, expect=409, testing_plan="Look")) == ["state"]


# --- what closes an emergency ------------------------------------------------------------------


def last_things(desk: Sit, number: str) -> dict[str, Any]:
    """Everything that the emergency owes, each to be brought by its people."""
    review = {"summary": "The pool was too small", "runbook_updated": True}
    return {
        "review": lambda: desk("devops").put(f"/changes/{number}/review", review),
        "confirmation": (
            lambda: desk("change-manager").post(
                f"/changes/{number}/review/confirmation",
                {"p0_justified": True},
            )
        ),
        "documentation": lambda: supply(desk, number, **OWED),
        "technical": lambda: desk("tech-lead").decide(number, "technical"),
        "business": lambda: desk("product-manager").decide(number, "business"),
    }


FIRST = ["documentation", "review", "confirmation", "technical", "business"]


@pytest.mark.parametrize("last", ["confirmation", "documentation", "technical", "business"])
def test_an_emergency_closes_with_the_last_thing_owed_whichever_it_is(
    desk: Sit,
    road: Road,
    last: str,
) -> None:
    """A13, A2, contract.md: in that transaction, by itself, and not before."""
    number = ended(road)
    supply(desk, number, rollback_tested=OWED["rollback_tested"])  # else T2 cannot be ticked
    bring = last_things(desk, number)
    for thing in [thing for thing in FIRST if thing != last]:
        bring[thing]()
        assert road.state(number) == "failed", thing
    noon, moved = "2026-10-01T12:00:00Z", {"from": "failed", "to": "closed"}
    road.at(noon)
    bring[last]()
    assert road.events(number, "change.close") == [("change.close", None, noon, moved)]
    assert desk("auditor").get(f"/changes/{number}")["closed_at"] == noon


def test_what_an_emergency_owes_is_named_to_who_would_close_it(desk: Sit, road: Road) -> None:
    """A13, promise 8: review, documentation and deferred reviews, then what is left of them."""
    number = ended(road, affects_network=True)
    refusal = desk("change-manager").post(f"/changes/{number}/close", expect=409)
    said = [message for _, message in why(refusal, "message")]
    assert why(refusal) == ["review", "documentation", *["deferred_review"] * 3]
    assert (
        said[1]
        == "The emergency's documentation lacks: rollback evidence, rollback time, testing plan,"
        " dependencies, downtime required, user impact, performance impact, security impact,"
        " requested date, estimated duration."
    )
    assert said[2:] == [
        "The technical review, deferred for the emergency, is not given yet.",
        "The security review, deferred for the emergency, is not given yet.",
        "The business approval, deferred for the emergency, is not given yet.",
    ]
    bring = last_things(desk, number)
    for thing in ("documentation", "review", "technical"):
        bring[thing]()
    refusal = desk("change-manager").post(f"/changes/{number}/close", expect=409)
    assert why(refusal) == ["confirmation", *["deferred_review"] * 2]


def test_a_security_review_is_deferred_where_a_question_asks_for_it(desk: Sit, road: Road) -> None:
    """A2, A16: with four noes an emergency owes two reviews, else three."""
    for answers, expected in (
        ({}, ["technical", "business"]),
        ({"affects_network": True}, ["technical", "security", "business"]),
    ):
        with tried():
            number = ended(road, **answers)
            found = [s["kind"] for s in desk("auditor").steps(number, "open") if s["deferred"]]
            assert found == expected
