"""What stands against a start, at the edges: neighbours, dependencies, a slot that has begun
(promises 1, 2, 8).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from changemgmt.tick import tick
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]
SLOT = "2026-10-06T02:00Z"


def approve(desk: Sit, number: str) -> None:
    for who, kind in (
        ("tech-lead", "technical"),
        ("product-manager", "business"),
        ("eng-manager", "sign_off"),
        ("devops-lead", "sign_off"),
    ):
        desk(who).decide(number, kind)


def booked(desk: Sit, start: str = SLOT, **more: Any) -> str:
    """A P2, approved, in a slot of 45 minutes from `start`, its checklist before the window
    done.
    """
    number = str(desk("engineer").submit("P2", requested_window={"start": start}, **more)["id"])
    approve(desk, number)
    assert desk("engineer").get(f"/changes/{number}")["state"] == "scheduled"
    desk("devops").tick_off(number, "pre")
    return number


def completed(desk: Sit, number: str) -> None:
    devops = desk("devops")
    devops.post(f"/changes/{number}/start")
    devops.tick_off(number, "start", "during")
    devops.post(f"/changes/{number}/finish")
    devops.tick_off(number, "post")
    devops.post(f"/changes/{number}/complete", {"reason": "Seen to work"})


def test_a_late_start_does_not_run_into_the_next_booking(desk: Sit, at: Any) -> None:
    """A25: the next booking begins at 02:45; the plan of 45 minutes fits before it at 02:00 alone,
    also seconds after it began.
    """
    at("2026-10-01T09:00Z")
    first, after = booked(desk), booked(desk, "2026-10-06T02:45Z")
    at("2026-10-06T02:10Z")
    refusal = desk("devops").post(f"/changes/{first}/start", expect=409)
    assert [reason["code"] for reason in refusal["reasons"]] == ["does_not_fit"]
    assert after in refusal["reasons"][0]["message"]
    at("2026-10-06T02:45:05Z")
    assert desk("devops").post(f"/changes/{first}/start", expect=409)["code"] == "does_not_fit"
    assert desk("devops").post(f"/changes/{after}/start")["state"] == "implementing"


def test_a_late_start_holds_its_components_for_the_whole_plan(desk: Sit, at: Any) -> None:
    """A25: started ten minutes late, 45 minutes of plan end at 02:55: no overrun before, and nobody
    books a component until then.
    """
    at("2026-10-01T09:00Z")
    number, other = booked(desk), str(desk("engineer").submit("P2")["id"])
    approve(desk, other)
    at("2026-10-06T02:10Z")
    started = desk("devops").post(f"/changes/{number}/start")
    assert (started["slot"]["start"], started["slot"]["end"]) == (
        "2026-10-06T02:00:00Z",
        "2026-10-06T02:55:00Z",
    )
    early = {"start": "2026-10-06T02:45Z", "short_notice_reason": "Now or never"}
    assert (
        desk("engineer").post(f"/changes/{other}/schedule", early, expect=409)["code"]
        == "same_component"
    )
    desk("engineer").post(f"/changes/{other}/schedule", early | {"start": "2026-10-06T02:55Z"})
    at("2026-10-06T02:50Z")
    assert tick()["overruns"] == 0
    at("2026-10-06T02:56Z")
    assert tick()["overruns"] == 1


def test_an_emergency_that_starts_before_its_slot_holds_the_time_from_now(
    desk: Sit, at: Any
) -> None:
    """R74: a P0 booked for the night starts now; the calendar and the gate then speak of now."""
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P0")["id"])
    desk("cto").decide(number, "emergency")
    desk("oncall").post(f"/changes/{number}/schedule", {"start": "2026-10-02T02:00Z"})
    slot = desk("oncall").post(f"/changes/{number}/start")["slot"]
    assert slot == {"start": "2026-10-01T09:00:00Z", "end": "2026-10-01T09:45:00Z", "window": None}
    at("2026-10-01T11:00Z")
    assert desk("oncall").get(f"/gate/{number}")["allow"] is True


def test_an_override_into_the_middle_of_a_slot_does_not_keep_that_from_starting(
    desk: Sit, at: Any
) -> None:
    """A27: the change manager let the second begin while the first runs; the first starts in its
    own slot, on time or a little late.
    """
    at("2026-10-01T09:00Z")
    first, second = booked(desk), str(desk("engineer").submit("P2")["id"])
    approve(desk, second)
    desk("change-manager").post(
        f"/changes/{second}/schedule",
        {"start": "2026-10-06T02:20Z", "override_reason": "Other shards"},
    )
    at("2026-10-06T02:05Z")
    assert desk("devops").post(f"/changes/{first}/start")["state"] == "implementing"


def test_a_conflict_that_was_overridden_does_not_hold_both(desk: Sit, at: Any) -> None:
    """A27: booked at the same time by the change manager's override, one starts, the other waits
    for it.
    """
    at("2026-10-01T09:00Z")
    first = booked(desk)
    second = str(desk("engineer").submit("P2")["id"])
    approve(desk, second)
    desk("change-manager").post(
        f"/changes/{second}/schedule", {"start": SLOT, "override_reason": "Both touch other shards"}
    )
    desk("devops").tick_off(second, "pre")
    at(SLOT)
    assert desk("devops").post(f"/changes/{first}/start")["state"] == "implementing"
    assert desk("devops").post(f"/changes/{second}/start", expect=409)["code"] == "component_busy"


def test_the_gate_names_one_next_start_in_words_and_data(desk: Sit, at: Any) -> None:
    """X7, contract.md: before its slot that slot; once the plan no longer fits, the next open
    start, which takes another slot.
    """
    at("2026-10-01T09:00Z")
    number = booked(desk)
    early = desk("devops").get(f"/gate/{number}?at=2026-10-06T01:00:00Z")
    assert (
        early["next_allowed_at"] == early["reasons"][0]["next_allowed_at"] == "2026-10-06T02:00:00Z"
    )
    days_before = desk("devops").get(f"/gate/{number}?at=2026-10-02T01:00:00Z")
    assert (
        days_before["next_allowed_at"]
        == days_before["reasons"][0]["next_allowed_at"]
        == "2026-10-06T02:00:00Z"
    )
    assert days_before["reasons"][0]["message"].endswith("; next: Tue 6 Oct 2026, 02:00 UTC.")
    assert desk("devops").get(f"/gate/{number}?at=2026-10-06T02:00:00Z")["allow"] is True
    late = desk("devops").get(f"/gate/{number}?at=2026-10-06T03:30:00Z")
    assert (late["allow"], late["reasons"][0]["code"]) == (False, "does_not_fit")
    assert (
        late["next_allowed_at"] == late["reasons"][0]["next_allowed_at"] == "2026-10-08T02:00:00Z"
    )
    assert late["reasons"][0]["message"].endswith(
        "; next: Thu 8 Oct 2026, 02:00 UTC. That start takes another slot."
    )


def test_a_dependency_that_is_being_rolled_back_is_not_done(desk: Sit, at: Any) -> None:
    """domain.md: what it depends on is completed; from the rollback's first minute it is not."""
    at("2026-10-01T09:00Z")
    needed = booked(desk, components=["cdn"])
    number = booked(desk, "2026-10-06T03:00Z", dependencies=[needed])
    at(SLOT)
    completed(desk, needed)
    at("2026-10-06T03:00Z")
    assert desk("devops").get(f"/gate/{number}")["allow"] is True
    desk("devops").post(f"/changes/{needed}/roll-back", {"reason": "Pictures are missing"})
    refusal = desk("devops").post(f"/changes/{number}/start", expect=409)
    assert (refusal["code"], needed in refusal["reasons"][0]["message"]) == ("dependency", True)


def test_a_verdict_of_somebody_who_became_an_author_is_no_deferred_review(
    desk: Sit, at: Any
) -> None:
    """Promise 1, A2, A28: given before the escalation, it counts no more once its giver is the
    requester.
    """
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P2")["id"])
    desk("tech-lead").decide(number, "technical")
    body = {
        "reason": "The index is down",
        "emergency_kind": "outage",
        "emergency_reference": "INC-7",
    }
    desk("engineer").post(f"/changes/{number}/escalate", body)
    desk("engineer").post(f"/changes/{number}/transfer", {"requester": "tech-lead"})
    desk("cto").decide(number, "emergency")
    desk("oncall").post(f"/changes/{number}/start")
    desk("oncall").post(f"/changes/{number}/fail", {"reason": "It did not help"})
    deferred = {step["kind"] for step in desk("cto").steps(number) if step["deferred"]}
    assert deferred == {"technical", "business"}


def test_whoever_rolled_it_back_does_not_confirm_its_review(desk: Sit, at: Any) -> None:
    """A13: somebody who had no hand in the run."""
    at("2026-10-01T09:00Z")
    number = booked(desk)
    at(SLOT)
    desk("devops").post(f"/changes/{number}/start")
    desk("oncall").post(f"/changes/{number}/roll-back", {"reason": "Errors"})
    desk("devops").tick_off(number, "rollback")
    desk("devops").post(f"/changes/{number}/finish-rollback")
    desk("devops").put(f"/changes/{number}/review", {"summary": "Rolled back"})
    desk("oncall").post(f"/changes/{number}/review/confirmation", expect=403)
    desk("tech-lead").post(f"/changes/{number}/review/confirmation")
