"""An emergency's authorisation is for now (A32, X22), and one that is filed after it began
(A33 b).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from accounts.models import User
from approvals.deciding import authorisation
from changemgmt.tick import tick
from notifications.models import Message
from requests.models import ChangeRequest
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]


def authorised(desk: Sit, at: Any, **more: Any) -> str:
    """A P0 that the CTO authorised on 6 October at 02:00."""
    at("2026-10-06T02:00Z")
    hours = {"valid_hours": more.pop("valid_hours")} if "valid_hours" in more else {}
    number = str(desk("engineer").submit("P0", requested_date=None, **more)["id"])
    desk("cto").decide(number, "emergency", **hours)
    return number


def told(kind: str) -> list[str]:
    return sorted(Message.objects.filter(kind=kind).values_list("recipient__username", flat=True))


def test_it_holds_for_24_hours_and_not_a_second_longer(desk: Sit, at: Any) -> None:
    """X22, A32, R4: the guard refuses at 24:00:00 even before the tick has run, and on Black
    Friday, at Christmas and in June.
    """
    number = authorised(desk, at)

    def gate(instant: str) -> Any:
        return desk("oncall").get(f"/gate/{number}?at={instant}")

    assert gate("2026-10-07T01:59:59Z")["allow"] is True
    for instant in (
        "2026-10-07T02:00:00Z",
        "2026-11-27T12:00:00Z",
        "2026-12-25T12:00:00Z",
        "2027-06-01T12:00:00Z",
    ):
        refused = gate(instant)
        assert (refused["allow"], [r["code"] for r in refused["reasons"]]) == (
            False,
            ["authorisation_expired"],
        )
    at("2026-10-07T02:00:00Z")
    assert (
        desk("oncall").post(f"/changes/{number}/start", expect=409)["code"]
        == "authorisation_expired"
    )
    at("2026-10-07T01:59:59Z")
    assert desk("oncall").post(f"/changes/{number}/start")["state"] == "implementing"


def test_the_tick_opens_a_new_round_and_one_click_renews_it(desk: Sit, at: Any) -> None:
    """A32: warned once 4 hours before; then the same content, the slot free, its deciders asked
    again; counted in the report.
    """
    number = authorised(desk, at)
    desk("engineer").post(f"/changes/{number}/schedule", {"start": "2026-10-07T01:30Z"})
    at("2026-10-06T21:59:59Z")
    tick()
    assert told("authorisation_ends") == []
    at("2026-10-06T22:00:00Z")
    tick(), tick()
    assert told("authorisation_ends") == ["engineer", "oncall"]
    at("2026-10-07T02:00:00Z")
    before = Message.objects.filter(kind="approval_waiting", recipient__username="cto").count()
    tick(), tick()
    found = desk("engineer").get(f"/changes/{number}")
    assert (found["state"], found["slot"], ChangeRequest.objects.get(number=number).round) == (
        "in_review",
        None,
        2,
    )
    assert told("authorisation_expired") == ["engineer", "oncall"]
    assert (
        Message.objects.filter(kind="approval_waiting", recipient__username="cto").count()
        == before + 1
    )
    desk("cto").decide(number, "emergency")
    assert desk("oncall").get(f"/gate/{number}?at=2026-10-08T01:59:59Z")["allow"] is True
    assert desk("oncall").get(f"/gate/{number}?at=2026-10-08T02:00:00Z")["allow"] is False
    events = desk("auditor").get(f"/audit?change={number}&action=change.expire")["items"]
    assert [event["data"]["from"] for event in events] == ["scheduled"]


def test_it_is_not_scheduled_beyond_its_authorisation(desk: Sit, at: Any) -> None:
    """A32: a slot at 24:00:00 is refused, one a minute before is booked."""
    number = authorised(desk, at)
    refused = desk("engineer").post(
        f"/changes/{number}/schedule", {"start": "2026-10-07T02:00Z"}, expect=422
    )
    assert "authorisation holds until" in refused["errors"][0]["message"]
    assert (
        desk("engineer").post(f"/changes/{number}/schedule", {"start": "2026-10-07T01:59Z"})[
            "state"
        ]
        == "scheduled"
    )


@pytest.mark.parametrize(
    ("kind", "hours", "holds"),
    [
        ("vulnerability", 72, True),
        ("vulnerability", 73, False),
        ("vulnerability", 23, False),
        ("outage", 24, True),
        ("outage", 25, False),
    ],
)
def test_its_giver_may_let_a_vulnerability_wait_longer(
    desk: Sit, at: Any, kind: str, hours: int, holds: bool
) -> None:
    """A32: up to 72 hours for a vulnerability, 24 for an outage."""
    at("2026-10-06T02:00Z")
    number = str(desk("engineer").submit("P0", emergency_kind=kind, requested_date=None)["id"])
    answer = desk("cto").decide(
        number, "emergency", valid_hours=hours, expect=200 if holds else 422
    )
    if not holds:
        assert [error["field"] for error in answer["errors"]] == ["valid_hours"]
        return
    until = ChangeRequest.objects.get(number=number).authorised_until
    assert until is not None
    assert (
        until.isoformat()
        == {72: "2026-10-09T02:00:00+00:00", 24: "2026-10-07T02:00:00+00:00"}[hours]
    )


# --- filed while it runs, or afterwards -----------------------------------------------------------


def filed(
    desk: Sit, start: str | None, end: str | None = None, who: str = "oncall", expect: int = 200
) -> dict[str, Any]:
    made = desk(who).create("P0", requested_date=None, actual_start=start, actual_end=end)
    answer: dict[str, Any] = desk(who).post(f"/changes/{made['id']}/submit", expect=expect)
    return answer | {"number": made["id"]}


def test_one_that_is_over_is_recorded_with_its_real_times(desk: Sit, at: Any) -> None:
    """A33 b, R4, R5: draft → verifying; stamps and figures are the real ones, and what is owed is
    due 24 h after filing.
    """
    at("2026-10-06T07:30Z")
    found = filed(desk, "2026-10-06T03:10Z", "2026-10-06T03:40Z")
    number = str(found["id"])
    assert (found["state"], found["started_at"], found["finished_at"]) == (
        "verifying",
        "2026-10-06T03:10:00Z",
        "2026-10-06T03:40:00Z",
    )
    step = next(s for s in desk("cto").steps(number) if s["kind"] == "emergency")
    assert step["state"] == "open"
    done = desk("oncall").post(f"/changes/{number}/complete")
    assert (done["state"], done["completed_at"]) == ("completed", "2026-10-06T03:40:00Z")
    change = ChangeRequest.objects.get(number=number)
    review = change.reviews.get()
    assert review.due_at.isoformat() == "2026-10-07T07:30:00+00:00"
    desk("cto").post(f"/changes/{number}/steps/{step['id']}/confirmation", {"answer": "ratified"})
    event = desk("auditor").get(f"/audit?change={number}&action=change.record")["items"][0]["data"]
    assert (event["from"], event["to"], event["hours_after_end"], event["unauthorised"]) == (
        "draft",
        "verifying",
        3.8,
        True,
    )
    report = desk("manager").get("/reports/monthly/2026-10")
    assert report["exceptions"]["recorded_afterwards"] == 1
    assert report["exceptions"]["unauthorised_starts"] == 1
    assert report["average_implementation_minutes"] == 30.0


def test_one_that_still_runs_is_running_now(desk: Sit, at: Any) -> None:
    """A33 b: no end: implementing; no calendar, conflict or checklist refuses what follows."""
    at("2026-11-27T03:30Z")  # Black Friday
    found = filed(desk, "2026-11-27T03:10Z")
    assert (found["state"], found["started_at"]) == ("implementing", "2026-11-27T03:10:00Z")
    assert desk("oncall").get(f"/gate/{found['id']}")["allow"] is True
    assert desk("oncall").post(f"/changes/{found['id']}/finish")["state"] == "verifying"


@pytest.mark.parametrize(
    ("start", "end", "field"),
    [
        (None, "2026-10-06T03:40Z", "actual_start"),
        ("2026-10-06T03:40Z", "2026-10-06T03:39Z", "actual_end"),
        ("2026-10-06T07:31Z", None, "actual_start"),
        ("2026-10-06T03:10Z", "2026-10-06T07:31Z", "actual_end"),
    ],
)
def test_times_that_cannot_be_are_refused_at_their_field(
    desk: Sit, at: Any, start: str | None, end: str | None, field: str
) -> None:
    """A33 b: an end without a start, before it, or what is still to come."""
    at("2026-10-06T07:30Z")
    body = {"priority": "P0", "summary": "x", "actual_start": start, "actual_end": end}
    refused = desk("oncall").post(
        "/changes", {name: value for name, value in body.items() if value}, expect=422
    )
    assert [error["field"] for error in refused["errors"]] == [field]


def test_only_an_emergency_has_real_times_and_escalation_sets_none(desk: Sit, at: Any) -> None:
    at("2026-10-06T07:30Z")
    planned = {"priority": "P2", "summary": "x", "actual_start": "2026-10-06T03:10Z"}
    assert [e["field"] for e in desk("oncall").post("/changes", planned, expect=422)["errors"]] == [
        "actual_start"
    ]
    number = str(desk("oncall").submit("P0", requested_date=None)["id"])
    edit = {
        "version": desk("oncall").get(f"/changes/{number}")["version"],
        "actual_start": "2026-10-06T03:10Z",
    }
    assert [
        e["field"]
        for e in desk("oncall").call("PATCH", f"/changes/{number}", edit, expect=422)["errors"]
    ] == ["actual_start"]


def test_more_than_72_hours_need_a_change_manager_first(desk: Sit, at: Any) -> None:
    """A33 b: at 72 hours it is recorded at once, a second later a change manager must accept it,
    and has been asked.
    """
    at("2026-10-06T07:30:00Z")
    assert filed(desk, "2026-10-03T07:30:00Z")["state"] == "implementing"
    late = filed(desk, "2026-10-03T07:29:59Z", expect=409)
    assert late["code"] == "recorded_late"
    assert told("late_record") == ["change-manager"]
    desk("devops-lead").post(
        f"/changes/{late['number']}/late-record/accept", {"reason": "x"}, expect=403
    )
    desk("change-manager").post(
        f"/changes/{late['number']}/late-record/accept", {"reason": "On holiday since"}
    )
    again = desk("oncall").post(f"/changes/{late['number']}/submit")
    assert again["state"] == "implementing"
    events = desk("auditor").get(f"/audit?change={late['number']}&action=change.record")["items"]
    assert events[0]["data"]["late"] is True


def test_whoever_filed_it_neither_ratifies_nor_accepts(desk: Sit, at: Any) -> None:
    """A37: a change manager who is also CTO files it late: another one accepts."""
    at("2026-10-06T07:30Z")
    both = User.objects.get(username="change-manager")
    both.groups.add(*User.objects.get(username="cto").groups.all())
    late = filed(desk, "2026-10-01T07:30Z", who="change-manager", expect=409)
    refused = desk("change-manager").post(
        f"/changes/{late['number']}/late-record/accept", {"reason": "x"}, expect=403
    )
    assert refused["code"] == "own_change"


def test_two_clocks_warn_once(desk: Sit, at: Any) -> None:
    """A32, F1: whoever comes second to the locked change finds it warned of; a new authorisation is
    warned of anew.
    """
    number = authorised(desk, at)
    change = ChangeRequest.objects.get(number=number)
    assert change.authorised_until is not None
    at((change.authorised_until - authorisation.WARN_BEFORE).isoformat())
    assert [authorisation.warn(change), authorisation.warn(change)] == [True, False]
    change.authorised_until += timedelta(hours=1)
    assert authorisation.warn(change) is True
