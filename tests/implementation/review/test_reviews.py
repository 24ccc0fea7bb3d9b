"""The post-implementation review: who writes it, who confirms it, what closes it (R147, A13)."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts.models import ApiToken, User
from pages.home import context_for
from requests.models import Author, ChangeRequest
from tests.implementation.road import EVERYBODY, MORNING, SLOT, Road, Sit, tried, why

pytestmark = pytest.mark.django_db
REVIEW = {
    "summary": "The index is fresh",
    "deviations": "None",
    "lessons": "Warm it first",
    "improvements": "Warm it by script",
}
ENDED = "2026-10-06T02:30:00Z"  # when `Road.completed` completes


def write(desk: Sit, number: str, who: str = "devops", expect: int = 200, **more: Any) -> Any:
    return desk(who).put(f"/changes/{number}/review", REVIEW | more, expect=expect)


def confirm(desk: Sit, number: str, who: str, expect: int = 200, **body: Any) -> Any:
    return desk(who).post(f"/changes/{number}/review/confirmation", body, expect=expect)


# --- who writes it --------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", ["completed", "rolled_back", "failed"])
def test_implementer_requester_and_change_manager_write_the_review(
    desk: Sit,
    road: Road,
    outcome: str,
) -> None:
    """R147, contract.md: by table of the demo users; `devops` implemented, `engineer` requested."""
    number, may = getattr(road, outcome)(), set()
    for person in EVERYBODY:
        with tried():
            desk(person).call("PUT", f"/changes/{number}/review", REVIEW)
            assert desk(person).status in (200, 403)
            may |= {person} if desk(person).status == 200 else set()
    assert may == {"devops", "engineer", "change-manager"}


def test_a_review_says_what_was_written_by_whom_and_when(desk: Sit, road: Road) -> None:
    """R147, R151, A13: all of it; the trail says that it was in time."""
    number = road.completed()
    road.at("2026-10-06T08:00:00Z")
    assert write(desk, number, "engineer") == REVIEW | {
        "runbook_updated": None,
        "due_at": "2026-10-07T02:30:00Z",
        "written_at": "2026-10-06T08:00:00Z",
        "written_by": "engineer",
        "version": 1,
        "revised_at": None,
        "revised_by": None,
        "confirmed_at": None,
        "confirmed_by": None,
        "p0_justified": None,
    }
    ((_, actor, at, data),) = road.events(number, "implementation.review")
    assert (actor, at) == ("engineer", "2026-10-06T08:00:00Z")
    assert data == REVIEW | {
        "review": data["review"],
        "version": 1,
        "late": False,
        "runbook_updated": None,
    }
    shown = road.page(number, "engineer2").split('id="review"')[1].split("</section>")[0]
    for said in REVIEW.values():
        assert said in shown


@pytest.mark.parametrize("state", ["scheduled", "implementing", "verifying", "rolling_back"])
def test_the_review_follows_the_implementation(desk: Sit, road: Road, state: str) -> None:
    """R147: none while it runs, nor before."""
    assert why(write(desk, getattr(road, state)(), expect=409)) == ["state"]


@pytest.mark.parametrize("summary", ["", "  \n"])
def test_a_review_needs_its_summary(desk: Sit, road: Road, summary: str) -> None:
    """R147: 422 at the field, by API and by form; it is still owed."""
    number = road.completed()
    refusal = write(desk, number, summary=summary, expect=422)
    assert [error["field"] for error in refusal["errors"]] == ["summary"]
    assert road.press(number, "review", "devops", **(REVIEW | {"summary": summary})) == 422
    assert road.state(number) == "completed"


def test_deviations_lessons_and_improvements_may_be_left_out(desk: Sit, road: Road) -> None:
    """R147, R135, R136: a summary is enough."""
    number = road.completed()
    found = desk("devops").put(f"/changes/{number}/review", {"summary": "As planned"})
    assert [found[name] for name in REVIEW] == ["As planned", "", "", ""]


# --- the runbook of a major change ----------------------------------------------------------------

CANARY = {"strategy": "canary", "estimated_minutes": 10, "rollback_minutes": 10}
#: (priority, what else is said of it) → whether it is a major change
MAJOR = [
    ("P0", {}, True),
    ("P1", {}, True),
    ("P2", {}, False),
    ("P3", {}, False),
    ("P3", {"risk": "low"}, False),
    ("P3", {"risk": "high", **CANARY}, True),
    ("P3", {"major": True}, True),
]


@pytest.mark.parametrize(("priority", "more", "is_major"), MAJOR)
def test_the_review_of_a_major_change_asks_whether_the_runbook_was_updated(
    desk: Sit,
    road: Road,
    priority: str,
    more: dict[str, Any],
    is_major: bool,
) -> None:
    """R161, A23: P0, P1, risk high, or flagged; yes and no are answers, silence is none."""
    number = road.failed(priority, **more)
    asked = "This is a major change: was the runbook updated?" in road.page(number)
    with tried():
        refusal = write(desk, number, expect=422 if is_major else 200)
        fields = [error["field"] for error in refusal["errors"]] if is_major else []
    assert (asked, fields) == (is_major, ["runbook_updated"] if is_major else [])
    for answer in (True, False):
        with tried():
            assert write(desk, number, runbook_updated=answer)["runbook_updated"] is answer


# --- who confirms it --------------------------------------------------------------------------


def test_a_completed_changes_review_needs_no_confirmation(desk: Sit, road: Road) -> None:
    """A13: with the review everything is in, and nobody is asked for more."""
    number = road.completed("P2")
    road.at("2026-10-06T08:00:00Z")
    write(desk, number)
    change = desk("auditor").get(f"/changes/{number}")
    assert (change["state"], change["closed_at"]) == ("closed", "2026-10-06T08:00:00Z")
    assert why(confirm(desk, number, "tech-lead", expect=409)) == ["not_needed"]


#: Whoever neither requested, implemented, began the rollback (`oncall`) nor wrote it (`engineer`).
OTHERS = {
    "engineer2",
    "devops2",
    "senior-devops",
    "devops-lead",
    "tech-lead",
    "eng-manager",
    "product-manager",
    "security",
    "cto",
    "emergency-contact",
    "change-manager",
}


def test_somebody_who_had_no_hand_in_it_confirms_a_rollbacks_review(desk: Sit, road: Road) -> None:
    """A13: by table of the demo users; roles that only read confirm nothing."""
    number = road.implementing()
    desk("oncall").post(f"/changes/{number}/roll-back", {"reason": "Errors"})
    desk("devops").tick_off(number, "rollback")
    desk("devops").post(f"/changes/{number}/finish-rollback")
    write(desk, number, "engineer")
    may = set()
    for person in EVERYBODY:
        with tried():
            desk(person).call("POST", f"/changes/{number}/review/confirmation", {})
            assert desk(person).status in (200, 403)
            may |= {person} if desk(person).status == 200 else set()
    assert may == OTHERS


def test_whoever_implemented_it_for_a_while_does_not_confirm(desk: Sit, road: Road) -> None:
    """A13: `devops` began, `oncall` took over, `devops-lead` took over and gave up."""
    number = road.implementing()
    for who in ("oncall", "devops-lead"):
        desk(who).post(f"/changes/{number}/take-over")
    desk("devops-lead").post(f"/changes/{number}/fail", {"reason": "It did not help"})
    write(desk, number, "engineer")
    for who in ("devops", "oncall", "devops-lead"):
        assert why(confirm(desk, number, who, expect=403)) == ["own_change"]
    confirm(desk, number, "senior-devops")


@pytest.mark.parametrize("outcome", ["rolled_back", "failed"])
def test_the_confirmation_closes_what_was_rolled_back_or_failed(
    desk: Sit,
    road: Road,
    outcome: str,
) -> None:
    """A13, contract.md: it closes in the transaction that brings the last thing owed."""
    number = getattr(road, outcome)()
    unwritten = confirm(desk, number, "tech-lead", expect=409)
    write(desk, number)
    unconfirmed = desk("change-manager").post(f"/changes/{number}/close", expect=409)
    assert (why(unwritten), why(unconfirmed)) == (["state"], ["confirmation"])
    assert road.state(number) == outcome
    road.at("2026-10-06T09:00:00Z")
    found = confirm(desk, number, "tech-lead")
    assert (found["confirmed_by"], found["confirmed_at"]) == ("tech-lead", "2026-10-06T09:00:00Z")
    assert (found["p0_justified"], road.state(number)) == (None, "closed")
    event, closed = road.events(number, "implementation.review_confirm", "change.close")
    assert event[1:3] == ("tech-lead", "2026-10-06T09:00:00Z")
    assert event[3] == {"review": event[3]["review"], "p0_justified": None}
    assert closed[1:] == (None, "2026-10-06T09:00:00Z", {"from": outcome, "to": "closed"})


def test_a_confirmed_review_is_settled(desk: Sit, road: Road) -> None:
    """A13, R151: written again until then, and not any more after it."""
    number = road.failed("P0", testing_plan="")
    write(desk, number, runbook_updated=False)
    found = write(desk, number, "engineer", summary="It was the cache", runbook_updated=True)
    assert (found["summary"], found["written_by"], found["revised_by"]) == (
        "It was the cache",
        "devops",
        "engineer",
    )
    assert (found["runbook_updated"], found["written_at"]) == (True, MORNING)
    confirm(desk, number, "change-manager", p0_justified=True)
    refusal = write(desk, number, summary="No", runbook_updated=True, expect=409)
    assert why(refusal) == ["settled"]
    again = confirm(desk, number, "emergency-contact", p0_justified=False, expect=409)
    assert (why(again), again["detail"]) == (["settled"], "Noor Rahman confirmed it already.")


def test_a_token_confirms_no_review(desk: Sit, road: Road) -> None:
    """contract.md: confirmations need a session."""
    number = road.failed()
    write(desk, number)
    _, secret = ApiToken.make(user=User.objects.get(username="tech-lead"), name="t", scope="write")
    answer = Client().post(
        f"/api/v1/changes/{number}/review/confirmation",
        {},
        content_type="application/json",
        headers={"Authorization": f"Bearer {secret}"},
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "session_needed")


@pytest.mark.parametrize("answer", [True, False])
def test_whoever_confirms_an_emergency_says_whether_it_was_one(
    desk: Sit,
    road: Road,
    answer: bool,
) -> None:
    """A13: yes or no, in the trail and on the page; silence is 422, by API and by form."""
    number = road.failed("P0")
    write(desk, number, runbook_updated=True)
    refusal = confirm(desk, number, "change-manager", expect=422)
    assert [error["field"] for error in refusal["errors"]] == ["p0_justified"]
    assert road.press(number, "confirm", "change-manager") == 422
    assert confirm(desk, number, "change-manager", p0_justified=answer)["p0_justified"] is answer
    ((*_, data),) = road.events(number, "implementation.review_confirm")
    assert data == {"review": data["review"], "p0_justified": answer}
    shown = road.page(number, "engineer").split('id="review"')[1].split("</section>")[0]
    assert ("Yes" if answer else "No") in shown.split("Right to make it an emergency")[1]


# --- closing -------------------------------------------------------------------------------------


def test_nobody_closes_by_hand_what_is_owed_and_nothing_twice(desk: Sit, road: Road) -> None:
    """contract.md: `close` while something is owed, or after, is 409; for others it is 403."""
    number = road.completed()
    refusal = desk("change-manager").post(f"/changes/{number}/close", expect=409)
    due = "The post-implementation review is not written yet, due Wed 7 Oct 2026, 02:30 UTC."
    assert why(refusal, "message", "until") == [("review", due, "2026-10-07T02:30:00Z")]
    for person in EVERYBODY:
        if person != "change-manager":
            desk(person).post(f"/changes/{number}/close", expect=403)
    write(desk, number)
    assert why(desk("change-manager").post(f"/changes/{number}/close", expect=409)) == ["state"]


def test_a_failure_after_completion_owes_a_new_review(desk: Sit, road: Road) -> None:
    """A30, A13: what was written of the completion counts no more."""
    number = road.completed()
    write(desk, number)
    road.at("2026-10-08T10:00:00Z")
    desk("change-manager").post(f"/changes/{number}/fail", {"reason": "Prices are wrong"})
    refusal = desk("change-manager").post(f"/changes/{number}/close", expect=409)
    assert why(refusal, "until") == [("review", "2026-10-09T10:00:00Z")]
    write(desk, number, "engineer")
    assert road.state(number) == "failed"
    assert why(confirm(desk, number, "change-manager", expect=403)) == ["own_change"]
    confirm(desk, number, "tech-lead")
    assert road.state(number) == "closed"
    assert desk("auditor").get(f"/changes/{number}")["started_at"] == SLOT


@pytest.mark.parametrize(("priority", "end", "who"), [
    ("P2", "failed", {"tech-lead", "cto", "change-manager", "devops-lead", "eng-manager"}),
    ("P3", "rolled_back", {"tech-lead", "cto", "change-manager", "devops-lead", "eng-manager"}),
    ("P2", "completed", set()),
    ("P0", "completed", {"change-manager", "emergency-contact"}),
    ("P0", "failed", {"change-manager", "emergency-contact"}),
])  # fmt: skip
def test_a_confirmation_waits_at_home_for_whoever_may_give_it(
    desk: Sit, road: Road, priority: str, end: str, who: set[str]
) -> None:
    """A13, A37, X6: by table of the demo users; nobody finds it there whom the service then
    refuses. The CTO authorised the P0.
    """
    number = getattr(road, end)(priority)
    write(desk, number, runbook_updated=True)
    found = set()
    for username in EVERYBODY:
        shown = [
            row["change"].number
            for row in context_for(User.objects.get(username=username)).get("reviews", [])
            if row["confirm"]
        ]
        found |= {username} if number in shown else set()
    assert found == who
    for username in sorted(found):
        with tried():
            confirm(desk, number, username, p0_justified=True if priority == "P0" else None)


def test_whoever_edited_the_change_finds_no_confirmation_at_home(desk: Sit, road: Road) -> None:
    """A37: an author of its content, and whoever wrote any version of the review."""
    number = road.failed("P2")
    write(desk, number)
    Author.objects.create(
        change=ChangeRequest.objects.get(number=number), user=User.objects.get(username="tech-lead")
    )
    write(desk, number, "change-manager", summary="It was the cache")
    for username, there in (("tech-lead", False), ("change-manager", False), ("eng-manager", True)):
        shown = [
            row["change"].number
            for row in context_for(User.objects.get(username=username))["reviews"]
        ]
        assert (number in shown) == there


@pytest.mark.parametrize(
    "writes", [("change-manager",), ("change-manager", "devops"), ("devops", "change-manager")]
)
def test_whoever_wrote_any_version_of_it_does_not_confirm_it(
    desk: Sit, road: Road, writes: tuple[str, ...]
) -> None:
    """A13, A37, A41: the second person of a review is none of its writers, first or last."""
    number = road.failed()
    for version, who in enumerate(writes):
        write(desk, number, who, summary=f"Version {version}")
    assert why(confirm(desk, number, "change-manager", expect=403)) == ["own_change"]
    assert number not in [
        row["change"].number
        for row in context_for(User.objects.get(username="change-manager"))["reviews"]
    ]
    assert road.state(number) == "failed"
    confirm(desk, number, "tech-lead")
    assert road.state(number) == "closed"
