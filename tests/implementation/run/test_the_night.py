"""Emergencies as they happen: the on-call engineer alone at three, one filed at breakfast, one
rolled back at ten past four (A30, A32, A33).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from changemgmt.tick import tick
from notifications.models import Message
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]
CALLED = "Called Helen Park at 03:02 and 03:06; nobody answered."


def asked(kind: str) -> set[str]:
    return set(Message.objects.filter(kind=kind).values_list("recipient__username", flat=True))


def exceptions(desk: Sit, at: Any) -> dict[str, Any]:
    at("2026-11-03T09:00Z")
    return dict(desk("manager").get("/reports/monthly/2026-10")["exceptions"])


def test_at_three_the_on_call_engineer_is_alone_and_the_cto_sleeps(desk: Sit, at: Any) -> None:
    """A33 a, A4, A37, R4, R147: filed and started by one person with a reason, answered in the
    morning, closed by others.
    """
    at("2026-10-07T03:00Z")
    oncall = desk("oncall")
    number = str(oncall.submit("P0", requested_date=None)["id"])
    assert [s["kind"] for s in oncall.steps(number, "open")] == ["emergency"]
    unsaid = oncall.post(f"/changes/{number}/start", expect=422)
    assert [error["field"] for error in unsaid["errors"]] == ["reason"]
    for other in ("devops", "senior-devops", "devops-lead"):
        desk(other).post(f"/changes/{number}/start", {"reason": CALLED}, expect=409)
    assert oncall.post(f"/changes/{number}/start", {"reason": CALLED})["state"] == "implementing"
    assert oncall.get(f"/gate/{number}")["allow"] is True
    assert {"cto", "emergency-contact"} <= asked("started_before")

    at("2026-10-07T03:14:59Z")
    tick()
    assert asked("ratify_again") == set()
    at("2026-10-07T03:15:00Z")
    tick()
    assert {"cto", "emergency-contact"} <= asked("ratify_again")

    oncall.tick_off(number, "start", "during", "post")
    oncall.post(f"/changes/{number}/finish")
    at("2026-10-07T03:50Z")
    assert oncall.post(f"/changes/{number}/complete")["state"] == "completed"
    at("2026-10-07T08:00Z")
    (step,) = [s for s in desk("cto").steps(number) if s["kind"] == "emergency"]
    oncall.post(
        f"/changes/{number}/steps/{step['id']}/confirmation", {"answer": "ratified"}, expect=403
    )
    desk("cto").post(f"/changes/{number}/steps/{step['id']}/confirmation", {"answer": "ratified"})
    oncall.put(
        f"/changes/{number}/review", {"summary": "The pool was exhausted", "runbook_updated": True}
    )
    for not_they in ("oncall", "cto"):
        desk(not_they).post(
            f"/changes/{number}/review/confirmation", {"p0_justified": True}, expect=403
        )
    desk("change-manager").post(f"/changes/{number}/review/confirmation", {"p0_justified": True})
    assert exceptions(desk, at)["unauthorised_starts"] == 1


def test_what_was_done_at_three_is_filed_at_breakfast_with_its_real_times(
    desk: Sit, at: Any
) -> None:
    """A33 b, R147: verifying with the times that were; everything after it goes on by the rules."""
    at("2026-10-07T07:30Z")
    times = {"actual_start": "2026-10-07T03:10Z", "actual_end": "2026-10-07T03:40Z"}
    oncall = desk("oncall")
    found = oncall.submit("P0", requested_date=None, **times)
    number = str(found["id"])
    assert (found["state"], found["started_at"], found["finished_at"]) == (
        "verifying",
        "2026-10-07T03:10:00Z",
        "2026-10-07T03:40:00Z",
    )
    oncall.tick_off(number, "start", "during", "post")
    assert (
        oncall.post(f"/changes/{number}/complete", {"reason": "Watched since"})["state"]
        == "completed"
    )
    assert (
        exceptions(desk, at)["recorded_afterwards"],
        exceptions(desk, at)["unauthorised_starts"],
    ) == (1, 1)


def test_at_ten_past_four_after_the_windows_end_and_in_a_lockdown_there_is_a_way_back(
    desk: Sit, at: Any
) -> None:
    """A30, R97: the gate is shut to what goes forward and open to what goes back."""
    at("2026-10-01T09:00Z")
    number = str(
        desk("engineer").submit("P3", requested_window={"start": "2026-10-06T02:00Z"})["id"]
    )
    desk("senior-devops").decide(number, "technical")
    desk("devops2").decide(number, "sign_off")
    at("2026-10-06T02:00Z")
    devops = desk("devops")
    devops.tick_off(number, "pre")
    devops.post(f"/changes/{number}/start")
    at("2026-10-06T04:10Z")
    desk("change-manager").post("/calendar/lockdowns", {"reason": "Card payments fail"}, expect=201)
    forward = devops.get(f"/gate/{number}")
    assert (forward["allow"], forward.get("purpose")) == (False, None)
    assert (
        devops.post(f"/changes/{number}/roll-back", {"reason": "Errors rise"})["state"]
        == "rolling_back"
    )
    back = devops.get(f"/gate/{number}")
    assert (back["allow"], back["purpose"], back["reasons"]) == (True, "rollback", [])
    devops.tick_off(number, "rollback")
    assert devops.post(f"/changes/{number}/finish-rollback")["state"] == "rolled_back"
    assert devops.get(f"/gate/{number}")["allow"] is False
