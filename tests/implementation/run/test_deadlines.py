"""Days after a run, a second either side: 7 days to go back, 24 hours for the review (A30, A13)."""

from __future__ import annotations

import pytest

from changemgmt.tick import tick
from notifications.models import Message
from tests.implementation.road import MORNING, SLOT, Road, Sit, later, told, tried, why

pytestmark = pytest.mark.django_db
ENDED = "2026-10-06T02:30:00Z"  # when `Road.completed` completes


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize(("verb", "state"), [("roll-back", "rolling_back"), ("fail", "failed")])
def test_the_way_back_is_open_until_seven_days_after_completion(
    desk: Sit,
    road: Road,
    verb: str,
    state: str,
    closed: bool,
) -> None:
    """A30: a second before it is open, a second after it is not, closed or not."""
    number = road.completed()
    if closed:
        desk("devops").put(f"/changes/{number}/review", {"summary": "As planned"})
        assert road.state(number) == "closed"
    address, body = f"/changes/{number}/{verb}", {"reason": "Prices are wrong"}
    road.at("2026-10-13T02:30:01Z")
    refusal = desk("devops").post(address, body, expect=409)
    assert why(refusal) == ["too_late"]
    assert "more than 7 days ago" in refusal["detail"]
    road.at("2026-10-13T02:29:59Z")
    change = desk("devops").post(address, body)
    assert change["state"] == state


@pytest.mark.parametrize("state", ["implementing", "verifying", "rolling_back"])
def test_what_runs_can_be_given_up_however_long_it_runs(desk: Sit, road: Road, state: str) -> None:
    """A30: the seven days are those after completion, and of nothing else."""
    number = getattr(road, state)()
    road.at("2026-10-20T02:00:00Z")
    desk("devops").post(f"/changes/{number}/fail", {"reason": "Given up"})
    assert road.state(number) == "failed"


def test_the_seven_days_begin_with_the_completion_of_a_late_run(desk: Sit, road: Road) -> None:
    """A30: not with its start, its finish or its slot."""
    number = road.verifying()
    road.at("2026-10-08T12:00:00Z")
    desk("devops").post(f"/changes/{number}/complete")
    road.at("2026-10-15T11:59:59Z")
    desk("devops").post(f"/changes/{number}/roll-back", {"reason": "Prices are wrong"})


# --- the review, within 24 hours of the end -----------------------------------------------------

#: how it ended → when
ENDS = {"completed": ENDED, "rolled_back": SLOT, "failed": SLOT}


@pytest.mark.parametrize("outcome", ENDS)
def test_the_review_is_due_24_hours_after_the_end_and_escalated_once(
    desk: Sit,
    road: Road,
    outcome: str,
) -> None:
    """R147, A13: a second before nothing is late; a second after it is, once, for its people."""
    number, due = getattr(road, outcome)(), later(ENDS[outcome], hours=24)
    road.at(later(due, seconds=-1))
    assert tick()["overdue_reviews"] == 0
    road.at(later(due, seconds=1))
    assert tick()["overdue_reviews"] == 1
    road.at(later(due, hours=30))
    assert tick()["overdue_reviews"] == 0
    (event,) = road.events(number, "implementation.review_overdue")
    assert event[:3] == ("implementation.review_overdue", None, later(due, seconds=1))
    assert event[3] == {"review": event[3]["review"], "due_at": due}
    assert told("review_overdue") == ["change-manager", "devops", "engineer"]
    written = desk("devops").put(f"/changes/{number}/review", {"summary": "As planned"})
    assert written["due_at"] == due


@pytest.mark.parametrize(("seconds", "late"), [(-1, False), (1, True)])
def test_a_review_written_a_second_after_24_hours_is_late(
    desk: Sit,
    road: Road,
    seconds: int,
    late: bool,
) -> None:
    """R147, R151: late or not, the trail says so; one that was written in time is never overdue."""
    number = road.completed()
    road.at(later(ENDED, hours=24, seconds=seconds))
    desk("engineer").put(f"/changes/{number}/review", {"summary": "As planned"})
    ((_, actor, at, data),) = road.events(number, "implementation.review")
    assert (actor, at, data["late"]) == ("engineer", later(ENDED, hours=24, seconds=seconds), late)
    road.at(later(ENDED, hours=48))
    assert tick()["overdue_reviews"] == 0


def test_whoever_owes_the_review_is_told_when_it_is_due(road: Road) -> None:
    """R147: implementer and requester, at the end of the run."""
    number = road.completed()
    assert told("review_due") == ["devops", "engineer"]
    subjects = set(Message.objects.filter(kind="review_due").values_list("subject", flat=True))
    assert subjects == {f"{number}: review due Wed 7 Oct 2026, 02:30 UTC"}


def test_a_rollback_after_completion_owes_a_review_of_its_own(desk: Sit, road: Road) -> None:
    """A30, A13: the review of the completion stands no more; the new one has its own day."""
    number = road.completed()
    desk("devops").put(f"/changes/{number}/review", {"summary": "As planned"})
    road.at("2026-10-08T10:00:00Z")
    desk("devops").post(f"/changes/{number}/roll-back", {"reason": "Prices are wrong"})
    desk("devops").tick_off(number, "rollback")
    road.at("2026-10-08T10:20:00Z")
    desk("devops").post(f"/changes/{number}/finish-rollback")
    road.at("2026-10-09T10:19:59Z")
    assert tick()["overdue_reviews"] == 0
    with tried():
        road.at("2026-10-09T10:20:01Z")
        assert tick()["overdue_reviews"] == 1
    road.at("2026-10-09T10:19:59Z")
    review = desk("devops").put(f"/changes/{number}/review", {"summary": "It was not"})
    assert (review["due_at"], review["summary"]) == ("2026-10-09T10:20:00Z", "It was not")
    assert road.state(number) == "rolled_back", "it waits for its confirmation"


# --- an emergency's documentation, within the same 24 hours ---------------------------------------


def test_an_emergencys_missing_fields_are_due_with_its_review(desk: Sit, road: Road) -> None:
    """R5, A13, A22: a second before nothing is late; a second after they are named, once."""
    number = road.failed("P0", testing_plan="", estimated_minutes=None)
    road.at(later(MORNING, hours=24, seconds=-1))
    assert tick()["overdue_documentation"] == 0
    road.at(later(MORNING, hours=24, seconds=1))
    assert tick()["overdue_documentation"] == 1
    road.at(later(MORNING, hours=30))
    assert tick()["overdue_documentation"] == 0
    assert road.events(number, "implementation.documentation_overdue") == [
        (
            "implementation.documentation_overdue",
            None,
            later(MORNING, hours=24, seconds=1),
            {
                "fields": ["testing_plan", "estimated_minutes"],
                "due_at": "2026-10-02T09:00:00Z",
            },
        ),
    ]
    assert told("documentation_overdue") == ["change-manager", "devops", "engineer"]


@pytest.mark.parametrize(("seconds", "late"), [(-1, False), (1, True)])
def test_documentation_a_second_after_24_hours_is_late(
    desk: Sit,
    road: Road,
    seconds: int,
    late: bool,
) -> None:
    """R5, A13, A22: and what is complete is never overdue."""
    number = road.failed("P0", testing_plan="")
    moment = later(MORNING, hours=24, seconds=seconds)
    road.at(moment)
    supplied = {"testing_plan": "Look for the newest."}
    desk("engineer").put(f"/changes/{number}/documentation", supplied)
    expected = {"version": 1, "fields": ["testing_plan"], "late": late, "content": supplied}
    found = road.events(number, "implementation.document")
    assert found == [("implementation.document", "engineer", moment, expected)]
    road.at(later(MORNING, hours=48))
    assert tick()["overdue_documentation"] == 0


def test_an_emergency_that_owes_no_field_is_not_overdue(road: Road) -> None:
    """A22: complete before its authorisation, it owes its review and confirmation alone."""
    road.failed("P0")
    road.at(later(MORNING, hours=24, seconds=1))
    done = tick()
    assert (done["overdue_documentation"], done["overdue_reviews"]) == (0, 1)
