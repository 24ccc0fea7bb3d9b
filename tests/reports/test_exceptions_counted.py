"""Each exception of the report, made to happen once: its line reads 1, no other moves (A8, A12).

The sixteen names are the contract's. Three of them (declined triggers, untrained starts,
deployments without a change) cannot happen in this product yet: their lines read 0 everywhere here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from changemgmt.tick import tick
from tests.reports import month, pages
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]
NONE = {
    "short_notice": 0,
    "overrides": 0,
    "freeze_exceptions": 0,
    "one_off_openings": 0,
    "phone_approvals_unconfirmed": 0,
    "unauthorised_starts": 0,
    "raised_to_p0": 0,
    "recorded_afterwards": 0,
    "authorisations_lapsed": 0,
    "p0_not_justified": 0,
    "reviews_waived": 0,
    "items_not_applicable": 0,
    "no_way_back": 0,
    "stand_ins": 0,
    "triggers_declined": 0,
    "monitoring_shortened": 0,
    "steps_skipped": 0,
    "untrained_starts": 0,
    "overruns": 0,
    "review_overdue": 0,
    "undocumented": 0,
}
SLOT = "2026-10-06T02:00Z"
BEFORE = {"2026-10": "2026-09", "2026-11": "2026-10"}
EMERGENCY = {"emergency_kind": "outage", "emergency_reference": "INC-7"}


def counted(desk: Sit, period: str = "2026-10") -> dict[str, int]:
    return dict(desk("auditor").get(f"/reports/monthly/{period}.json")["exceptions"])


def one(desk: Sit, line: str, number: str, period: str = "2026-10") -> None:
    """That line alone reads 1, in that month alone; the list behind it is that change alone."""
    assert counted(desk, period) == NONE | {line: 1}
    assert counted(desk, BEFORE[period]) == NONE
    assert pages.numbers_behind(desk("auditor"), f"/reports/{period}/{line}/") == [number]


def approved(desk: Sit, at: Any, priority: str = "P3", **more: Any) -> str:
    """Asked for and signed off on 1 October, for the slot of 6 October unless another is wanted."""
    at("2026-10-01T09:00Z")
    wanted = {"requested_window": {"start": SLOT}} | more
    number = str(desk("engineer").submit(priority, **wanted)["id"])
    return month.decided(desk, number, month.NORMAL if priority == "P3" else month.STANDARD)


def fail(desk: Sit, number: str, who: str = "devops") -> str:
    desk(who).post(f"/changes/{number}/fail", {"reason": "It did not help"})
    return number


def run(desk: Sit, at: Any, number: str, begin: str = SLOT) -> str:
    """Begun at that instant and failed in it."""
    month.started(desk, at, number, begin)
    return fail(desk, number)


def schedule(desk: Sit, number: str, start: str, who: str = "engineer", **more: str) -> None:
    desk(who).post(f"/changes/{number}/schedule", {"start": start, **more})


# --- nothing ----------------------------------------------------------------------------------


def test_a_change_that_keeps_to_the_process_moves_no_line(desk: Sit, at: Any) -> None:
    """R144: booked with notice, run in its slot, watched for 30 minutes, reviewed in time."""
    number = approved(desk, at)
    month.started(desk, at, number, SLOT)
    month.finished(desk, at, number, "2026-10-06T02:30:00Z")
    at("2026-10-06T03:00:00Z")
    desk("devops").post(f"/changes/{number}/complete")
    month.reviewed(desk, number)
    at("2026-11-03T00:00Z")
    tick()
    assert counted(desk) == NONE


def test_an_emergency_that_keeps_to_the_process_moves_no_line(desk: Sit, at: Any) -> None:
    """R4, A12, A29: no notice, no window and no checklist before it are no exceptions of a P0."""
    number = month.started_emergency(desk, at, "2026-10-07T09:00Z")
    fail(desk, number, "oncall")
    month.reviewed(desk, number)
    desk("emergency-contact").post(
        f"/changes/{number}/review/confirmation",
        {"p0_justified": True},
    )
    assert counted(desk) == NONE


# --- booking ----------------------------------------------------------------------------------


def test_a_slot_booked_less_than_24_hours_ahead(desk: Sit, at: Any) -> None:
    """A12: 24 hours ahead are notice, one minute less is short."""
    long, short = (approved(desk, at, components=[name]) for name in ("cdn", "monitoring"))
    for number in (long, short):
        schedule(desk, number, "2026-10-08T02:00Z")
    at("2026-10-05T02:00Z")
    schedule(desk, long, SLOT)
    at("2026-10-05T02:01Z")
    schedule(desk, short, SLOT, short_notice_reason="The disk is full on Wednesday")
    run(desk, at, long)
    assert counted(desk) == NONE
    one(desk, "short_notice", run(desk, at, short))


def test_a_short_notice_that_was_given_up_again_is_none(desk: Sit, at: Any) -> None:
    """A12: moved on to a slot two days ahead, it was not run at short notice."""
    number = approved(desk, at)
    at("2026-10-05T09:00Z")
    schedule(desk, number, "2026-10-06T02:30Z", short_notice_reason="The disk is full")
    schedule(desk, number, "2026-10-08T02:00Z")
    run(desk, at, number, "2026-10-08T02:00Z")
    assert counted(desk) == NONE


def test_a_short_notice_of_what_became_an_emergency_is_none(desk: Sit, at: Any) -> None:
    """A12: a P0 needs no notice, also where it was booked as a P3; that it was raised is told."""
    number = approved(desk, at, requested_window=None)
    at("2026-10-05T09:00Z")
    schedule(desk, number, SLOT, short_notice_reason="The disk is full")
    desk("engineer").post(f"/changes/{number}/escalate", {"reason": "Down", **EMERGENCY})
    desk("cto").decide(number, "emergency")
    desk("oncall").post(f"/changes/{number}/start")
    one(desk, "raised_to_p0", fail(desk, number, "oncall"))


def test_a_conflict_that_the_change_manager_overrode(desk: Sit, at: Any) -> None:
    """A27: two on one component at one time."""
    approved(desk, at)
    second = approved(desk, at, requested_window={"start": "2026-10-06T03:00Z"})
    beside = {"override_reason": "They touch different shards"}
    schedule(desk, second, "2026-10-06T02:20Z", "change-manager", **beside)
    one(desk, "overrides", run(desk, at, second, "2026-10-06T02:20Z"))


def test_an_override_that_nothing_stood_against_is_none(desk: Sit, at: Any) -> None:
    """A27: a reason alone overrides no conflict."""
    number = approved(desk, at)
    schedule(desk, number, "2026-10-08T02:00Z", "change-manager", override_reason="To be sure")
    run(desk, at, number, "2026-10-08T02:00Z")
    assert counted(desk) == NONE


def test_a_freeze_exception(desk: Sit, at: Any) -> None:
    """R75, A6: inside the code freeze of November, granted by CTO and change manager."""
    number = approved(desk, at, "P2", requested_window=None)
    slot = "2026-11-17T02:00Z"
    at("2026-11-05T09:00Z")
    for who in ("cto", "change-manager"):
        grant = {"slot_start": slot, "reason": "The law changes on the 20th"}
        desk(who).post(f"/changes/{number}/freeze-exception", grant)
    schedule(desk, number, slot)
    one(desk, "freeze_exceptions", run(desk, at, number, slot), "2026-11")


def test_a_one_off_opening(desk: Sit, at: Any) -> None:
    """A27: run on a Saturday, in a window that two people opened for once."""
    number = approved(desk, at)
    opens = {"rule": "", "begins": "2026-10-10T08:00", "minutes": 120}
    edit = {"kind": "window", "values": {"name": "Catalogue move", **opens}}
    saved = desk("change-manager").post("/calendar/rules", {"edits": [edit], "reason": "Agreed"})
    desk("cto").post(f"/proposals/{saved['proposal']}/confirm")
    schedule(desk, number, "2026-10-10T08:00Z")
    one(desk, "one_off_openings", run(desk, at, number, "2026-10-10T08:00Z"))


# --- approval ---------------------------------------------------------------------------------


def phoned(desk: Sit, at: Any) -> str:
    """A P0 that the on-call engineer started on the CTO's word by telephone, and that failed."""
    at("2026-10-07T09:00Z")
    number = str(desk("engineer").submit("P0", requested_date="2026-10-07")["id"])
    desk("oncall").decide(number, "emergency", on_behalf_of="cto")
    desk("oncall").post(f"/changes/{number}/start")
    fail(desk, number, "oncall")
    month.reviewed(desk, number)
    return number


def answer(desk: Sit, number: str, said: str) -> None:
    step = next(s["id"] for s in desk("cto").steps(number) if s["kind"] == "emergency")
    desk("cto").post(f"/changes/{number}/steps/{step}/confirmation", {"answer": said})


def test_an_approval_by_telephone_that_was_denied(desk: Sit, at: Any) -> None:
    """A4: "I did not"."""
    number = phoned(desk, at)
    answer(desk, number, "not_approved")
    one(desk, "phone_approvals_unconfirmed", number)


def test_an_approval_by_telephone_that_nobody_answered_for_24_hours(desk: Sit, at: Any) -> None:
    """A4: a second before they are over it is none; a late answer does not unsay it."""
    number = phoned(desk, at)
    at("2026-10-08T08:59:59Z")
    tick()
    assert counted(desk) == NONE
    at("2026-10-08T09:00:00Z")
    tick()
    one(desk, "phone_approvals_unconfirmed", number)
    answer(desk, number, "approved")
    one(desk, "phone_approvals_unconfirmed", number)


def test_an_approval_by_telephone_that_was_confirmed_is_none(desk: Sit, at: Any) -> None:
    """A4."""
    answer(desk, phoned(desk, at), "approved")
    at("2026-10-20T09:00Z")
    tick()
    assert counted(desk) == NONE


def test_an_emergency_started_before_its_authorisation(desk: Sit, at: Any) -> None:
    """A4, A33: also where it was ratified afterwards."""
    at("2026-10-07T09:00Z")
    number = str(desk("engineer").submit("P0", requested_date="2026-10-07")["id"])
    desk("oncall").post(f"/changes/{number}/start", {"reason": "Called the CTO, no answer"})
    fail(desk, number, "oncall")
    answer(desk, number, "ratified")
    one(desk, "unauthorised_starts", number)


@pytest.mark.parametrize("way", ["escalated", "edited"])
def test_a_change_raised_to_an_emergency(desk: Sit, at: Any, way: str) -> None:
    """R2, A8: by the button, or by its priority edited in review; a draft made a P0 is none."""
    at("2026-10-07T09:00Z")
    today = {"requested_date": "2026-10-07"}
    draft = str(desk("engineer").create("P2", **today)["id"])
    raised = str(desk("engineer").submit("P2", components=["cdn"], **today)["id"])
    values = {"priority": "P0", **EMERGENCY}
    desk("engineer").patch(f"/changes/{draft}", {"version": 1, **values})
    desk("engineer").post(f"/changes/{draft}/submit")
    if way == "escalated":
        desk("engineer").post(f"/changes/{raised}/escalate", {"reason": "Down", **EMERGENCY})
    else:
        desk("engineer").patch(f"/changes/{raised}", {"version": 1, **values})
    for number in (draft, raised):
        desk("cto").decide(number, "emergency")
        desk("oncall").post(f"/changes/{number}/start")
        fail(desk, number, "oncall")
    one(desk, "raised_to_p0", raised)


def test_an_emergency_that_was_none_by_its_review(desk: Sit, at: Any) -> None:
    """A13."""
    number = month.started_emergency(desk, at, "2026-10-07T09:00Z")
    fail(desk, number, "oncall")
    month.reviewed(desk, number)
    said = {"p0_justified": False}
    desk("emergency-contact").post(f"/changes/{number}/review/confirmation", said)
    one(desk, "p0_not_justified", number)


def test_a_security_review_that_was_waived(desk: Sit, at: Any) -> None:
    """A16: asked for by the component alone, waived with a reason."""
    at("2026-10-01T09:00Z")
    wanted = {"components": ["payments"], "requested_window": {"start": SLOT}}
    number = str(desk("engineer").submit("P3", **wanted)["id"])
    desk("security").decide(number, "security", "waive", comment="Texts only")
    month.decided(desk, number)
    one(desk, "reviews_waived", run(desk, at, number))


# --- the run ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("completed", "reason", "line"),
    [
        ("2026-10-06T02:39:59Z", "Seen to work", {"monitoring_shortened": 1}),
        ("2026-10-06T02:40:00Z", "", {}),
    ],
)
def test_the_watch_shortened(
    desk: Sit,
    at: Any,
    completed: str,
    reason: str,
    line: dict[str, int],
) -> None:
    """R67, R71, R82: 30 minutes from 02:10; one second less is shortened."""
    number = approved(desk, at)
    month.started(desk, at, number, SLOT)
    month.finished(desk, at, number, "2026-10-06T02:10Z")
    at(completed)
    desk("devops").post(f"/changes/{number}/complete", {"reason": reason})
    assert counted(desk) == NONE | line
    behind = pages.numbers_behind(desk("auditor"), "/reports/2026-10/monitoring_shortened/")
    assert behind == [number] * len(line)


@pytest.mark.parametrize("phase", ["pre", "during"])
def test_a_step_skipped(desk: Sit, at: Any, phase: str) -> None:
    """R54, R62: with its note, before the window or in it; two of one change are one change."""
    number = approved(desk, at)
    items = desk("devops").get(f"/changes/{number}/checklist")["items"]
    for item in [item for item in items if item["phase"] == phase][:2]:
        skip = {"state": "skipped", "note": "Done yesterday"}
        desk("devops").patch(f"/changes/{number}/checklist/{item['id']}", skip)
    one(desk, "steps_skipped", run(desk, at, number))


@pytest.mark.parametrize(
    ("ended", "line"),
    [("2026-10-06T02:45:00Z", {}), ("2026-10-06T02:45:01Z", {"overruns": 1})],
)
def test_a_run_past_its_slot(desk: Sit, at: Any, ended: str, line: dict[str, int]) -> None:
    """A25: 30 minutes of work and 15 of rollback from 02:00 end at 02:45."""
    number = approved(desk, at)
    month.started(desk, at, number, SLOT)
    at(ended)
    fail(desk, number)
    assert counted(desk) == NONE | line
    behind = pages.numbers_behind(desk("auditor"), "/reports/2026-10/overruns/")
    assert behind == [number] * len(line)


# --- afterwards -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "line"),
    [("2026-10-07T02:00:00Z", {}), ("2026-10-07T02:00:01Z", {"review_overdue": 1})],
)
def test_a_review_written_late(desk: Sit, at: Any, written: str, line: dict[str, int]) -> None:
    """R147, A13: 24 hours from the end are in time, a second more is late; no tick has run."""
    number = run(desk, at, approved(desk, at))
    at(written)
    month.reviewed(desk, number)
    assert counted(desk) == NONE | line


def test_a_review_that_is_not_there_after_24_hours(desk: Sit, at: Any) -> None:
    """R147, A13: a second before, the clock says nothing; written later, it is still late, once."""
    number = run(desk, at, approved(desk, at))
    at("2026-10-07T01:59:59Z")
    tick()
    assert counted(desk) == NONE
    at("2026-10-07T02:00:01Z")
    tick()
    one(desk, "review_overdue", number)
    month.reviewed(desk, number)
    one(desk, "review_overdue", number)


def test_the_documentation_of_an_emergency_that_is_late(desk: Sit, at: Any) -> None:
    """R5, A13, A22: the review was in time, the testing plan that was owed was not."""
    number = month.started_emergency(desk, at, "2026-10-07T09:00Z", testing_plan="")
    fail(desk, number, "oncall")
    month.reviewed(desk, number)
    assert counted(desk) == NONE
    at("2026-10-08T09:00:01Z")
    owed = {"testing_plan": "Place an order"}
    desk("engineer").put(f"/changes/{number}/documentation", owed)
    one(desk, "review_overdue", number)
