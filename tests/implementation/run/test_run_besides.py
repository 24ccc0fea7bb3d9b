"""What the decisions of November ask of a run: second persons, the gate of a rollback, causes
before issues.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group

from accounts.models import User
from implementation.evidence.checklist import items_for
from tests.implementation.road import EVERYBODY, SLOT, Road, Sit, tried

pytestmark = pytest.mark.django_db
REVIEW = {"summary": "The index is torn", "runbook_updated": True}
SEEN = {"reason": "Seen to work"}


#: The document's own words for the implementation window, in its order.
WORDS = [
    ("start", "Notify stakeholders"),
    ("start", "Verify system health"),
    ("start", "Begin implementation"),
    ("during", "Monitor system health continuously"),
    ("during", "Document any deviations"),
    ("post", "Verify functionality"),
    ("post", "Run smoke tests"),
    ("post", "Monitor for issues"),
    ("post", "Update documentation"),
]


def test_the_implementation_window_is_worded_as_the_document_words_it() -> None:
    """R59, R60, R61, R63, R64, R65, R66, R67, R68: word for word."""
    found = items_for(number="CR-2024-01-15-001", implementation_steps="x", rollback_plan="y")
    said = [(item.phase, item.text) for item in found if item.text not in ("x", "y")]
    assert [line for line in said if line[0] != "pre"] == WORDS


def test_the_requester_does_not_confirm_the_review_of_their_change(desk: Sit, road: Road) -> None:
    """A37: confirming the review is kept apart from requesting; a second person is no author."""
    number = road.rolled_back()
    desk("devops").put(f"/changes/{number}/review", REVIEW)
    desk("engineer").post(f"/changes/{number}/review/confirmation", expect=403)


def test_whether_p0_was_justified_is_said_by_those_whom_a37_names(desk: Sit, road: Road) -> None:
    """A37: change manager, CTO or an emergency contact, not whoever authorised it (`cto`)."""
    number, may = road.failed("P0"), set()
    desk("devops").put(f"/changes/{number}/review", REVIEW)
    for person in EVERYBODY:
        with tried():
            address = f"/changes/{number}/review/confirmation"
            desk(person).call("POST", address, {"p0_justified": True})
            may |= {person} if desk(person).status == 200 else set()
    assert may == {"change-manager", "emergency-contact"}


def failed_check(desk: Sit, number: str) -> str:
    """The address at which the failed check of a run is accepted."""
    body = {"name": "smoke", "kind": "smoke", "passed": False}
    key = desk("devops").post(f"/changes/{number}/checks", body, expect=201)["id"]
    return f"/changes/{number}/checks/{key}/acceptance"


SECONDS = pytest.mark.parametrize("who", ["oncall", "devops-lead"])


@SECONDS
def test_a_requester_accepts_no_failed_check_of_theirs(desk: Sit, road: Road, who: str) -> None:
    """A37: accepting a failed check is kept apart from requesting."""
    number = road.scheduled()
    desk("engineer").post(f"/changes/{number}/transfer", {"requester": who})
    desk("devops").post(f"/changes/{number}/start")
    refusal = desk(who).post(failed_check(desk, number), SEEN, expect=403)
    assert refusal["code"] in ("not_yours", "own_change")


@SECONDS
def test_whoever_accepted_a_check_does_not_take_over(desk: Sit, road: Road, who: str) -> None:
    """A37: accepting a failed check is kept apart from taking over."""
    number = road.verifying()
    desk(who).post(failed_check(desk, number), SEEN)
    desk(who).post(f"/changes/{number}/take-over", expect=403)


def test_the_gate_lets_a_rollback_through_at_any_hour(desk: Sit, road: Road) -> None:
    """A30 (widened): in `rolling_back` it answers allow, with `purpose: rollback`."""
    number = road.rolling_back()
    for at in (SLOT, "2026-10-06T12:00:00Z", "2026-11-27T12:00:00Z"):
        found = desk("devops").get(f"/gate/{number}?at={at}")
        assert (found["allow"], found.get("purpose")) == (True, "rollback")


@pytest.mark.parametrize(
    ("detected", "status"),
    [("2026-10-06T01:45:00Z", 201), ("2026-10-06T01:44:59Z", 422)],
)
def test_a_cause_comes_before_its_issue(desk: Sit, road: Road, detected: str, status: int) -> None:
    """A42: not caused by the change if detected more than 15 minutes before its slot's start."""
    number = road.implementing()
    body = {"severity": "P1", "summary": "Search is slow", "detected_at": detected}
    desk("devops").post(f"/changes/{number}/issues", body, expect=status)
    desk("devops").post(f"/changes/{number}/issues", body | {"link": "fixed_by"}, expect=201)


@pytest.mark.parametrize("verb", ["finish", "roll-back", "fail"])
def test_an_implementer_who_audits_by_now_runs_nothing_more(desk: Sit, at: Any, verb: str) -> None:
    """A26, A28: whoever holds auditor changes nothing, also what they began themselves; a colleague
    takes it over.
    """
    number = Road(desk, at).implementing()
    devops = desk("devops")
    devops.tick_off(number, "start", "during")
    devops.user.groups.add(Group.objects.get(name="auditor"))
    devops.user = User.objects.get(pk=devops.user.pk)
    devops.post(f"/changes/{number}/{verb}", {"reason": "As planned"}, expect=403)
    assert desk("auditor").get(f"/changes/{number}")["state"] == "implementing"
    assert desk("oncall").post(f"/changes/{number}/take-over")["implementer"] == "oncall"


@pytest.mark.parametrize(("ended", "word"), [("rolled_back", "rolled back"), ("failed", "failed")])
@pytest.mark.parametrize("verb", ["roll-back", "fail"])
def test_what_ended_otherwise_is_not_ended_again(
    desk: Sit, at: Any, ended: str, word: str, verb: str
) -> None:
    """A30: only what was completed is reopened; closed or not, the first end stands."""
    road = Road(desk, at)
    number = getattr(road, ended)()
    assert (
        desk("devops").post(f"/changes/{number}/{verb}", {"reason": "Once more"}, expect=409)[
            "code"
        ]
        == "state"
    )
    desk("devops").put(f"/changes/{number}/review", REVIEW)
    desk("tech-lead").post(f"/changes/{number}/review/confirmation")
    assert road.state(number) == "closed"
    refused = desk("devops").post(f"/changes/{number}/{verb}", {"reason": "Once more"}, expect=409)
    assert refused["detail"] == f"{number} was {word} already."
    assert road.state(number) == "closed"
