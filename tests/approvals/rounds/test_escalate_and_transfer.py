"""Raising a change to P0, handing it to another requester: by whom, from where, to what end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group

from accounts.models import User
from tests.approvals.everybody import EVERYBODY, only, tried_only
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]

DOWN = {"reason": "It is down", "emergency_kind": "outage", "emergency_reference": "INC-7"}
SLOT = {"start": "2026-10-06T02:00Z"}


@pytest.fixture(autouse=True)
def october(at: Any) -> None:
    at("2026-10-01T09:00Z")


def allowed(desk: Sit, path: str, body: dict[str, Any]) -> dict[str, int]:
    """Everybody, and the status that their POST would have."""
    found = {}
    for username in EVERYBODY:
        with tried_only():
            desk(username).call("POST", path, body)
            found[username] = desk(username).status
    return found


def road(desk: Sit) -> Iterator[tuple[str, str]]:
    """One P2 on its way, and the state in which it is at each stop."""
    engineer, number = desk("engineer"), str(desk("engineer").create("P2")["id"])
    yield number, "draft"
    engineer.post(f"/changes/{number}/submit")
    yield number, "in_review"
    desk("tech-lead").decide(number, "technical", "request_changes", comment="More")
    yield number, "changes_requested"
    engineer.post(f"/changes/{number}/submit")
    approve(desk, number)
    yield number, "approved"
    engineer.post(f"/changes/{number}/schedule", SLOT)
    yield number, "scheduled"


def approve(desk: Sit, number: str) -> None:
    for who, kind in (
        ("tech-lead", "technical"),
        ("product-manager", "business"),
        ("eng-manager", "sign_off"),
        ("devops-lead", "sign_off"),
    ):
        desk(who).decide(number, kind)


def by_state(desk: Sit, at: Any, verb: str, body: dict[str, Any]) -> dict[str, int]:
    """The requester's POST at each stop of the road, and while it runs and when it has ended."""
    found = {}
    for number, state in road(desk):
        with tried_only():
            desk("engineer").call("POST", f"/changes/{number}/{verb}", body)
            found[state] = desk("engineer").status
    desk("devops").tick_off(number, "pre")
    at("2026-10-06T02:00Z")
    desk("devops").post(f"/changes/{number}/start")
    desk("engineer").call("POST", f"/changes/{number}/{verb}", body)
    found["implementing"] = desk("engineer").status
    desk("devops").post(f"/changes/{number}/fail", {"reason": "No way"})
    desk("engineer").call("POST", f"/changes/{number}/{verb}", body)
    found["failed"] = desk("engineer").status
    cancelled = desk("engineer").submit("P2", requested_date="2026-10-06")["id"]
    desk("engineer").post(f"/changes/{cancelled}/cancel", {"reason": "Not needed"})
    desk("engineer").call("POST", f"/changes/{cancelled}/{verb}", body)
    return found | {"cancelled": desk("engineer").status}


# --- escalate ----------------------------------------------------------------------------------


def test_requester_on_call_and_change_manager_raise_it_to_p0(desk: Sit) -> None:
    """R2, R3, domain.md: nobody else, whatever they may decide."""
    number = desk("engineer").submit("P2")["id"]
    found = allowed(desk, f"/changes/{number}/escalate", DOWN)
    assert found == only("engineer", "oncall", "change-manager")


def test_it_is_raised_from_review_until_it_has_started(desk: Sit, at: Any) -> None:
    """R4, domain.md: in review, approved or scheduled; a draft is simply made a P0."""
    assert by_state(desk, at, "escalate", DOWN) == {
        "draft": 409,
        "in_review": 200,
        "changes_requested": 409,
        "approved": 200,
        "scheduled": 200,
        "implementing": 409,
        "failed": 409,
        "cancelled": 409,
    }


def test_a_p0_is_not_raised_again(desk: Sit) -> None:
    """R2, domain.md: it is one already."""
    number = desk("engineer").submit("P0")["id"]
    desk("engineer").post(f"/changes/{number}/escalate", DOWN, expect=409)


def test_raised_it_is_the_same_change_with_one_authorisation_to_wait_for(desk: Sit) -> None:
    """R3, R14, A2: same number, a new round of the emergency alone, slot and approval gone."""
    number, state = list(road(desk))[-1]
    assert state == "scheduled"
    change = desk("oncall").post(f"/changes/{number}/escalate", DOWN)
    facts = ("id", "priority", "state", "slot", "approved_at", "emergency_kind", "requester")
    assert {name: change[name] for name in facts} == {
        "id": number,
        "priority": "P0",
        "state": "in_review",
        "slot": None,
        "approved_at": None,
        "emergency_kind": "outage",
        "requester": "engineer",
    }
    steps = desk("engineer").steps(number)
    newest = max(step["round"] for step in steps)
    now = [(step["kind"], step["state"]) for step in steps if step["round"] == newest]
    assert now == [("emergency", "open")]
    assert {step["state"] for step in steps if step["round"] < newest} == {"stale"}


@pytest.mark.parametrize(
    ("reviews", "edited", "owed"),
    [
        ((), False, ["technical", "business"]),
        (("technical",), False, ["business"]),
        (("technical", "business"), False, []),
        (("technical", "business"), True, ["technical", "business"]),
    ],
)
def test_reviews_given_before_count_while_the_content_stands(
    desk: Sit,
    reviews: tuple[str, ...],
    edited: bool,
    owed: list[str],
) -> None:
    """A2, domain.md: what was reviewed and not edited since is not owed afterwards."""
    number = str(desk("engineer").submit("P2")["id"])
    for kind in reviews:
        desk({"technical": "tech-lead", "business": "product-manager"}[kind]).decide(number, kind)
    desk("engineer").post(f"/changes/{number}/escalate", DOWN)
    if edited:
        version = desk("engineer").get(f"/changes/{number}")["version"]
        desk("engineer").patch(f"/changes/{number}", {"version": version, "reason": "Worse"})
    desk("cto").decide(number, "emergency")
    desk("oncall").post(f"/changes/{number}/start")
    desk("oncall").post(f"/changes/{number}/fail", {"reason": "It did not help"})
    assert [s["kind"] for s in desk("engineer").steps(number) if s["deferred"]] == owed


def test_whoever_raised_it_does_not_authorise_it(desk: Sit) -> None:
    """A2, promise 1: raising edits the content; a change manager who is CTO too is out."""
    person = User.objects.get(username="change-manager")
    person.groups.add(Group.objects.get(name="cto"))
    number = desk("engineer").submit("P2")["id"]
    desk("change-manager").post(f"/changes/{number}/escalate", DOWN)
    answer = desk("change-manager").decide(number, "emergency", expect=403)
    assert answer["code"] == "own_change"
    assert desk("cto").decide(number, "emergency")["state"] == "approved"


# --- transfer ----------------------------------------------------------------------------------

HEIR = {"requester": "engineer2"}


def test_requester_and_change_manager_hand_it_over(desk: Sit) -> None:
    """A28: nobody else, the heir neither."""
    number = desk("engineer").submit("P2")["id"]
    found = allowed(desk, f"/changes/{number}/transfer", HEIR)
    assert found == only("engineer", "change-manager")


def test_it_is_handed_over_until_it_has_started(desk: Sit, at: Any) -> None:
    """A28: then its requester stays."""
    assert by_state(desk, at, "transfer", HEIR) == {
        "draft": 200,
        "in_review": 200,
        "changes_requested": 200,
        "approved": 200,
        "scheduled": 200,
        "implementing": 409,
        "failed": 409,
        "cancelled": 409,
    }


def test_only_who_may_request_and_has_not_decided_inherits_it(desk: Sit) -> None:
    """A26, A28, promise 1: no reader, nobody deactivated, nobody whose verdict stands on it."""
    User.objects.filter(username="devops2").update(is_active=False)
    number = desk("engineer").submit("P2")["id"]
    desk("tech-lead").decide(number, "technical")
    found = {}
    for heir in ("manager", "auditor", "admin", "devops2", "nobody-here", "", "tech-lead"):
        path = f"/changes/{number}/transfer"
        answer = desk("engineer").post(path, {"requester": heir}, expect=422)
        found[heir] = [error["field"] for error in answer["errors"]]
    assert all(fields == ["requester"] for fields in found.values()), found
    change = desk("engineer").post(f"/changes/{number}/transfer", {"requester": "senior-devops"})
    assert change["requester"] == "senior-devops"


def test_old_and_new_requester_stay_out_and_verdicts_stand(desk: Sit) -> None:
    """R15, A28: neither decides; the role beside the name is the new one's; no new round."""
    User.objects.get(username="engineer").groups.add(Group.objects.get(name="tech-lead"))
    number = desk("engineer").submit("P2")["id"]
    desk("product-manager").decide(number, "business")
    change = desk("engineer").post(f"/changes/{number}/transfer", {"requester": "senior-devops"})
    named = (change["requester"], change["requester_role"], change["version"])
    assert named == ("senior-devops", "Senior DevOps engineer", 1)
    desk("engineer").user = User.objects.get(username="engineer")
    for barred in ("engineer", "senior-devops"):
        assert desk(barred).decide(number, "technical", expect=403)["code"] == "own_change"
    standing = [(s["round"], s["kind"], s["state"]) for s in desk("auditor").steps(number)]
    assert standing == [
        (1, "technical", "open"),
        (1, "business", "approved"),
        (1, "sign_off", "waiting"),
    ]
    desk("engineer").post(f"/changes/{number}/transfer", HEIR, expect=403)
    desk("tech-lead").decide(number, "technical")
