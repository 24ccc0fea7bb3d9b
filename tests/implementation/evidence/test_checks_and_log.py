"""Evidence of a run: checks, of which the latest counts, and the log (R64, R145)."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts.models import ApiToken, User
from tests.implementation.road import EVERYBODY, SLOT, Road, Sit, tried, why

pytestmark = pytest.mark.django_db
KINDS = ["health", "smoke", "error_rate", "latency", "critical", "backup", "custom"]
RECORDERS = {"devops", "devops2", "senior-devops", "devops-lead", "oncall"}
SEEN = {"reason": "Seen to work"}  # shortens the watch, so that it does not stand beside the checks


def check(desk: Sit, number: str, passed: bool, name: str = "smoke", **more: Any) -> dict[str, Any]:
    body = {"name": name, "kind": "smoke", "passed": passed} | more
    found: dict[str, Any] = desk("devops").post(f"/changes/{number}/checks", body, expect=201)
    return found


def blocked(desk: Sit, number: str) -> list[str]:
    """What stands against completing it, in words; nothing is done."""
    with tried():
        answer = desk("devops").call("POST", f"/changes/{number}/complete", SEEN)
        return [reason["message"] for reason in answer.get("reasons", [])]


def sentence(name: str) -> str:
    remedy = "repeat it, or have a DevOps lead or the on-call engineer accept it"
    return f"The latest “{name}” failed; {remedy}."


# --- checks ---------------------------------------------------------------------------------


def test_a_check_is_kept_as_it_was_reported(desk: Sit, road: Road) -> None:
    """R145, R149, contract.md: every field of it; the event carries the result."""
    number = road.implementing()
    road.at("2026-10-06T02:12:30Z")
    told = {"name": "p95", "kind": "latency", "passed": True, "value": 212.5, "unit": "ms"}
    told |= {"observed_at": "2026-10-06T02:11:00Z", "output": "212.5 of 400 ms"}
    found = desk("devops").post(f"/changes/{number}/checks", told, expect=201)
    assert found == told | {"id": found["id"], "accepted": False}
    data = {"check": found["id"], "name": "p95", "kind": "latency", "passed": True}
    data |= {"value": 212.5, "unit": "ms", "output": "212.5 of 400 ms"}
    assert road.events(number, "implementation.check") == [
        ("implementation.check", "devops", "2026-10-06T02:12:30Z", data),
    ]


def test_a_check_without_an_instant_was_observed_now(desk: Sit, road: Road) -> None:
    """R149: to the second; nothing is invented for what was not said."""
    number = road.implementing()
    found = check(desk, number, False)
    assert found == {
        "id": found["id"],
        "name": "smoke",
        "kind": "smoke",
        "passed": False,
        "value": None,
        "unit": "",
        "observed_at": SLOT,
        "output": "",
        "accepted": False,
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_failed_check_of_any_kind_blocks_the_completion(desk: Sit, road: Road, kind: str) -> None:
    """domain.md (complete), contract.md: by its name; and alone the completion."""
    number = road.implementing()
    check(desk, number, False, name="first", kind=kind)
    desk("devops").tick_off(number, "start", "during", "post")
    desk("devops").post(f"/changes/{number}/finish")
    refusal = desk("devops").post(f"/changes/{number}/complete", SEEN, expect=409)
    assert why(refusal, "rule", "message") == [("check_failed", "Checks", sentence("first"))]


def test_no_check_is_ever_required(desk: Sit, road: Road) -> None:
    """contract.md: a posted check is never required."""
    assert blocked(desk, road.verifying()) == []


#: Results of one name in the order of their posting: (passed, observed in which minute) → blocked.
RESULTS = [
    ([(True, 1)], False),
    ([(False, 1)], True),
    ([(False, 1), (True, 2)], False),
    ([(True, 1), (False, 2)], True),
    ([(False, 1), (True, 2), (False, 3)], True),
    ([(True, 2), (False, 1)], False),
    ([(False, 2), (True, 1)], True),
    ([(False, 1), (True, 1)], False),
]


@pytest.mark.parametrize(("results", "is_blocked"), RESULTS)
def test_the_latest_result_of_a_name_counts(
    desk: Sit,
    road: Road,
    results: list[tuple[bool, int]],
    is_blocked: bool,
) -> None:
    """domain.md: the latest that was observed, whenever it was posted; of two at once the last."""
    number = road.verifying()
    road.at("2026-10-06T02:10:00Z")
    for passed, minute in results:
        check(desk, number, passed, observed_at=f"2026-10-06T02:0{minute}:00Z")
    assert blocked(desk, number) == ([sentence("smoke")] if is_blocked else [])


def test_each_name_counts_for_itself(desk: Sit, road: Road) -> None:
    """domain.md: the latest result of each check."""
    number = road.verifying()
    for name in ("health", "smoke", "p95"):
        check(desk, number, False, name=name)
    check(desk, number, True, name="smoke")
    assert blocked(desk, number) == [sentence("health"), sentence("p95")]


def test_a_failed_check_stands_beside_what_else_is_missing(desk: Sit, road: Road) -> None:
    """Promise 8: checklist, check and watch are all named at once."""
    number = road.verifying()
    road.settle(number, road.items(number, "post")[0], "open")
    check(desk, number, False)
    refusal = desk("devops").post(f"/changes/{number}/complete", expect=409)
    assert why(refusal) == ["checklist", "check_failed", "monitoring"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"kind": "weather"}, "kind"),
        ({"name": " "}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"observed_at": "2026-10-06T02:05:01Z"}, "observed_at"),
        ({"observed_at": "yesterday"}, "observed_at"),
    ],
)
def test_a_wrong_check_is_refused_at_its_field(
    desk: Sit,
    road: Road,
    wrong: dict[str, str],
    field: str,
) -> None:
    """contract.md: 422, also for an instant that is more than five minutes ahead."""
    number = road.implementing()
    body = {"name": "smoke", "kind": "smoke", "passed": False} | wrong
    refusal = desk("devops").post(f"/changes/{number}/checks", body, expect=422)
    assert [error["field"] for error in refusal["errors"]] == [field]
    assert road.events(number, "implementation.check") == []


# --- accepted by a second person ---------------------------------------------------------------


def test_only_a_devops_lead_or_on_call_accepts_a_failed_check(desk: Sit, road: Road) -> None:
    """domain.md (complete): by table of the demo users; `devops` implements."""
    number = road.verifying()
    address = f"/changes/{number}/checks/{check(desk, number, False)['id']}/acceptance"
    may = set()
    for person in EVERYBODY:
        with tried():
            desk(person).call("POST", address, {"reason": "A known flake"})
            assert desk(person).status in (200, 403)
            may |= {person} if desk(person).status == 200 else set()
    assert may == {"devops-lead", "oncall"}


@pytest.mark.parametrize("who", ["devops-lead", "oncall"])
def test_nobody_accepts_a_failed_check_of_their_own_run(desk: Sit, road: Road, who: str) -> None:
    """domain.md, A37: a second person, whatever roles the implementer holds; in either order."""
    number = road.verifying()
    failed = check(desk, number, False)
    address = f"/changes/{number}/checks/{failed['id']}/acceptance"
    with tried():
        desk(who).post(f"/changes/{number}/take-over")
        assert why(desk(who).post(address, SEEN, expect=403)) == ["own_change"]
    desk(who).post(address, SEEN)
    assert blocked(desk, number) == []
    desk(who).call("POST", f"/changes/{number}/take-over")
    desk(who).call("POST", f"/changes/{number}/complete", SEEN)
    assert desk(who).status in (403, 409)
    assert road.state(number) == "verifying", "whoever accepted it does not complete it"


def test_an_accepted_check_lets_complete_and_is_in_the_trail(desk: Sit, road: Road) -> None:
    """domain.md, R149: with a reason; the page says who and why."""
    number = road.verifying()
    failed = check(desk, number, False)
    address = f"/changes/{number}/checks/{failed['id']}/acceptance"
    refusal = desk("devops-lead").post(address, {"reason": " "}, expect=422)
    assert [error["field"] for error in refusal["errors"]] == ["reason"]
    accepted = desk("devops-lead").post(address, {"reason": "A known flake"})
    assert accepted == failed | {"accepted": True}
    data = {"check": failed["id"], "reason": "A known flake"}
    assert road.events(number, "implementation.check_accept") == [
        ("implementation.check_accept", "devops-lead", SLOT, data),
    ]
    assert "Accepted by Priya Nair: A known flake" in road.page(number, "engineer")
    assert blocked(desk, number) == []
    check(desk, number, False)
    assert blocked(desk, number) == [sentence("smoke")], "the next failure is another"


def test_what_is_not_a_failed_check_is_not_accepted(desk: Sit, road: Road) -> None:
    """409 for one that passed, 404 for none, 403 for a token: a person decides (contract.md)."""
    number = road.verifying()
    passed, failed = check(desk, number, True), check(desk, number, False)
    address = f"/changes/{number}/checks/{passed['id']}/acceptance"
    assert why(desk("oncall").post(address, SEEN, expect=409)) == ["state"]
    desk("oncall").post(f"/changes/{number}/checks/{failed['id'] + 1}/acceptance", SEEN, expect=404)
    _, secret = ApiToken.make(user=User.objects.get(username="oncall"), name="t", scope="write")
    answer = Client().post(
        f"/api/v1/changes/{number}/checks/{failed['id']}/acceptance",
        SEEN,
        content_type="application/json",
        headers={"Authorization": f"Bearer {secret}"},
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "session_needed")


# --- the log ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["note", "deviation"])
def test_the_log_keeps_notes_and_deviations(desk: Sit, road: Road, kind: str) -> None:
    """R64, R149: with its instant and author, on the page and in the trail."""
    number = road.implementing()
    road.at("2026-10-06T02:12:30Z")
    body = {"kind": kind, "message": "Deployed 3.2.1, not 3.2"}
    entry = desk("devops2").post(f"/changes/{number}/log", body, expect=201)
    assert entry == body | {"id": entry["id"], "at": "2026-10-06T02:12:30Z"}
    assert road.events(number, "implementation.log") == [
        ("implementation.log", "devops2", "2026-10-06T02:12:30Z", body),
    ]
    shown = road.page(number).split('id="log"')[1].split("</ol>")[0]
    words = {"note": "noted", "deviation": "recorded a deviation"}[kind]
    assert f'<b>Yuki Tanaka</b> {words} <span class="at">02:12</span>' in shown
    assert "Deployed 3.2.1, not 3.2" in shown


def test_an_entry_is_a_note_unless_said_otherwise(desk: Sit, road: Road) -> None:
    """R64: by API; and each button of the page says what it records."""
    number = road.implementing()
    entry = desk("devops").post(f"/changes/{number}/log", {"message": "Drained"}, expect=201)
    assert entry["kind"] == "note"
    assert road.press(number, "log", "devops", message="Skipped 2", kind="deviation") == 302
    kinds = [data["kind"] for *_, data in road.events(number, "implementation.log")]
    assert kinds == ["note", "deviation"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"kind": "rumour"}, "kind"), ({"message": ""}, "message"), ({"message": " \n"}, "message")],
)
def test_a_wrong_entry_is_refused_at_its_field(
    desk: Sit,
    road: Road,
    wrong: dict[str, str],
    field: str,
) -> None:
    """R64: 422, and nothing is kept."""
    number = road.implementing()
    body = {"kind": "note", "message": "Drained"} | wrong
    refusal = desk("devops").post(f"/changes/{number}/log", body, expect=422)
    assert [error["field"] for error in refusal["errors"]] == [field]
    assert road.events(number, "implementation.log") == []


# --- who, and when ----------------------------------------------------------------------------

DOORS = [("log", {"message": "x"}), ("checks", {"name": "x", "kind": "smoke", "passed": True})]


@pytest.mark.parametrize(("door", "body"), DOORS)
def test_only_the_implementer_and_devops_roles_record(
    desk: Sit,
    road: Road,
    door: str,
    body: dict[str, Any],
) -> None:
    """R145, A28: by table of the demo users."""
    number, may = road.implementing(), set()
    for person in EVERYBODY:
        with tried():
            desk(person).call("POST", f"/changes/{number}/{door}", body)
            assert desk(person).status in (201, 403)
            may |= {person} if desk(person).status == 201 else set()
    assert may == RECORDERS


@pytest.mark.parametrize(("door", "body"), DOORS)
def test_evidence_is_recorded_from_approval_to_closing(
    desk: Sit,
    road: Road,
    door: str,
    body: dict[str, Any],
) -> None:
    """R145, contract.md: not in review, not once it is closed; in between always."""
    number = road.completed()
    desk("devops").post(f"/changes/{number}/{door}", body, expect=201)
    desk("devops").put(f"/changes/{number}/review", {"summary": "As planned"})
    assert why(desk("devops").post(f"/changes/{number}/{door}", body, expect=409)) == ["state"]
    review = str(desk("engineer").submit("P3", requested_date="2026-10-07")["id"])
    assert why(desk("devops").post(f"/changes/{review}/{door}", body, expect=409)) == ["state"]
    road.approve(review, "P3")
    desk("devops").post(f"/changes/{review}/{door}", body, expect=201)
