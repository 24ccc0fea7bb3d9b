"""Which phase of the checklist holds up which verb, and what settles an item (R54, A29)."""

from __future__ import annotations

from typing import Any

import pytest

from audit.models import Event
from tests.implementation.road import EVERYBODY, MORNING, SLOT, Road, Sit, tried

pytestmark = pytest.mark.django_db
#: verb → (the state in which it is pressed, the phases that hold it up, those that do not)
GATES = [
    ("start", "scheduled", ["pre"], ["start", "during", "post", "rollback"]),
    ("finish", "implementing", ["start", "during"], ["pre", "post", "rollback"]),
    ("complete", "verifying", ["post"], ["pre", "start", "during", "rollback"]),
    ("finish-rollback", "rolling_back", ["rollback"], ["pre", "start", "during", "post"]),
]
#: phase → how many items the checklist of `tests.world.FULL` has there
ITEMS = {"pre": 4, "start": 3, "during": 4, "post": 4, "rollback": 2}


def pressed(desk: Sit, number: str, verb: str) -> list[str]:
    """What stands against it; empty when it is done. The reason shortens the watch."""
    devops = desk("devops")
    answer = devops.call("POST", f"/changes/{number}/{verb}", {"reason": "Seen to work"})
    return [] if devops.status == 200 else [reason["code"] for reason in answer["reasons"]]


@pytest.mark.parametrize(("verb", "state", "holding", "free"), GATES)
def test_each_open_item_of_its_phase_holds_a_verb_up(
    desk: Sit,
    road: Road,
    verb: str,
    state: str,
    holding: list[str],
    free: list[str],
) -> None:
    """R54, R55, R59, R62, R65, contract.md: one open item is enough, whichever it is."""
    number = getattr(road, state)()
    desk("devops").tick_off(number, *holding)
    for phase in holding:
        items = road.items(number, phase)
        assert len(items) == ITEMS[phase]
        for item in items:
            with tried():
                road.settle(number, item, "open")
                assert pressed(desk, number, verb) == ["checklist"], (phase, item["text"])
    with tried():
        assert pressed(desk, number, verb) == []


@pytest.mark.parametrize(("verb", "state", "holding", "free"), GATES)
def test_no_item_of_another_phase_holds_it_up(
    desk: Sit,
    road: Road,
    verb: str,
    state: str,
    holding: list[str],
    free: list[str],
) -> None:
    """R54, contract.md: start asks for `pre` alone, finish for `start` and `during`, and so on."""
    number = getattr(road, state)()
    desk("devops").tick_off(number, *holding)
    for phase in free:
        for item in road.items(number, phase):
            road.settle(number, item, "open")
    assert pressed(desk, number, verb) == []


def test_the_refusal_names_the_first_open_item_and_counts_the_others(desk: Sit, road: Road) -> None:
    """R54, promise 8."""
    number = road.implementing()
    refusal = desk("devops").post(f"/changes/{number}/finish", expect=409)
    waits = "The checklist waits for “Notify stakeholders” and 6 more"
    assert [(reason["code"], reason["message"]) for reason in refusal["reasons"]] == [
        ("checklist", f"{waits}: do it, or skip it and say why."),
    ]
    desk("devops").tick_off(number, "start")
    for item in road.items(number, "during")[:-1]:
        road.settle(number, item, "done")
    refusal = desk("devops").post(f"/changes/{number}/finish", expect=409)
    last = "Document any deviations"
    waits = f"The checklist waits for “{last}”"
    assert refusal["detail"] == f"{waits}: do it, or skip it and say why."


@pytest.mark.parametrize(
    ("state", "note", "settled"),
    [
        ("done", {}, True),
        ("done", {"note": "Took 4 minutes"}, True),
        ("skipped", {"note": "The backup of 01:00 is fresh"}, True),
        ("failed", {}, False),
        ("failed", {"note": "Disk full", "output": "No space left on device"}, False),
        ("open", {"note": "Not yet"}, False),
    ],
)
def test_done_and_skipped_with_a_note_settle_an_item(
    desk: Sit,
    road: Road,
    state: str,
    note: dict[str, str],
    settled: bool,
) -> None:
    """R54, contract.md: settled = done, or skipped with a note; failed is not settled."""
    number = road.scheduled()
    backup = road.items(number, "pre")[1]
    road.settle(number, backup, state, **note)
    said = {"state": state, "note": "", "output": ""} | note
    assert road.items(number, "pre")[1] == backup | said
    assert pressed(desk, number, "start") == ([] if settled else ["checklist"])


@pytest.mark.parametrize("note", [{}, {"note": ""}, {"note": "  \n "}])
def test_skipping_needs_a_note(desk: Sit, road: Road, note: dict[str, str]) -> None:
    """R54, contract.md: through both doors; what is refused is not recorded."""
    number = road.scheduled()
    smoke = road.items(number, "post")[1]
    address = f"/changes/{number}/checklist/{smoke['id']}"
    refusal = desk("devops").patch(address, {"state": "skipped"} | note, expect=422)
    assert [error["field"] for error in refusal["errors"]] == ["note"]
    form = {"item": smoke["id"], "state": "skipped"} | note
    assert road.press(number, "item", "devops", **form) == 422
    assert road.items(number, "post")[1]["state"] == "open"


def test_an_item_of_no_known_state_or_of_another_change_is_refused(desk: Sit, road: Road) -> None:
    """R54: 422 at the field, and 404 for what is not there."""
    number = road.scheduled()
    address = f"/changes/{number}/checklist/{road.items(number, 'pre')[0]['id']}"
    refusal = desk("devops").patch(address, {"state": "approved"}, expect=422)
    assert [error["field"] for error in refusal["errors"]] == ["state"]
    other = road.scheduled(start="2026-10-06T03:00:00Z", components=["cdn"])
    foreign = road.items(other, "pre")[0]["id"]
    desk("devops").patch(f"/changes/{number}/checklist/{foreign}", {"state": "open"}, expect=404)
    assert road.items(other, "pre")[0]["state"] == "done"


def test_a_settled_item_says_who_and_when_and_the_trail_keeps_it(desk: Sit, road: Road) -> None:
    """R145, R149: each tick is an event with its words, note and output."""
    number = road.scheduled()
    road.at("2026-10-06T02:07:00Z")
    smoke = road.items(number, "post")[1]
    road.settle(number, smoke, "failed", note="Login is slow", output="4 of 5 passed")
    assert road.events(number, "implementation.checklist")[-1] == (
        "implementation.checklist",
        "devops",
        "2026-10-06T02:07:00Z",
        {
            "item": smoke["id"],
            "phase": "post",
            "text": "Run smoke tests",
            "state": "failed",
            "note": "Login is slow",
            "output": "4 of 5 passed",
        },
    )
    assert "Tom, 02:07" in road.page(number).split(f'id="item-{smoke["id"]}"')[1].split("</li>")[0]


def test_how_many_were_skipped_stands_in_the_events_of_the_run(desk: Sit, road: Road) -> None:
    """R149, contract.md (exceptions.steps_skipped): counted when it finishes and when it ends."""
    number = road.implementing()
    first, *_, last = road.items(number, "during")
    road.settle(number, first, "skipped", note="Deployed last week")
    road.settle(number, last, "skipped", note="There were none")
    desk("devops").tick_off(number, "start", "during")
    desk("devops").post(f"/changes/{number}/finish")
    road.settle(number, road.items(number, "post")[3], "skipped", note="Nothing to update")
    desk("devops").tick_off(number, "post")
    desk("devops").post(f"/changes/{number}/complete", {"reason": "Seen to work"})
    found = road.events(number, "change.finish", "change.complete")
    assert [(action, data["skipped"]) for action, _, _, data in found] == [
        ("change.finish", 2),
        ("change.complete", 3),
    ]


#: Whoever implements, and the DevOps roles.
RECORDERS = {"devops", "devops2", "senior-devops", "devops-lead", "oncall"}


def test_only_the_implementer_and_devops_roles_tick(desk: Sit, road: Road) -> None:
    """R145, A28, contract.md: by table of the demo users."""
    number = road.scheduled()
    address = f"/changes/{number}/checklist/{road.items(number, 'post')[0]['id']}"
    for who in EVERYBODY:
        with tried():
            desk(who).patch(address, {"state": "done"}, expect=200 if who in RECORDERS else 403)
        with tried():
            expect, item = 201 if who in RECORDERS else 403, {"phase": "post", "text": "x"}
            desk(who).post(f"/changes/{number}/checklist", item, expect=expect)


def test_items_are_settled_from_approval_to_closing(desk: Sit, road: Road) -> None:
    """R54, R145: not before there is a checklist, and not after it is closed."""
    number = road.completed()
    item = road.items(number, "post")[0]
    road.settle(number, item, "done", note="Again, and it works")
    desk("devops").put(f"/changes/{number}/review", {"summary": "As planned"})
    assert road.state(number) == "closed"
    address = f"/changes/{number}/checklist/{item['id']}"
    assert desk("devops").patch(address, {"state": "open"}, expect=409)["code"] == "state"
    assert road.items(number, "post")[0] == item | {"state": "done", "note": "Again, and it works"}


# --- P0 --------------------------------------------------------------------------------------

LEFT_OUT = [
    "Verify prerequisites: detailed health check",
    "Back up the full system",
    "Tag the state to come back to",
    "Note the images to come back to",
]


@pytest.mark.parametrize("state", ["open", "failed"])
def test_nothing_blocks_the_start_of_an_emergency(desk: Sit, road: Road, state: str) -> None:
    """R4, A29: no item, health check or backup; the trail says what was left out."""
    number = road.authorised()
    health, _, tag, _ = road.items(number, "pre")
    road.settle(number, health, state)
    road.settle(number, tag, "done")
    for kind in ("health", "backup"):
        failed = {"name": kind, "kind": kind, "passed": False}
        desk("devops").post(f"/changes/{number}/checks", failed, expect=201)
    assert desk("devops").post(f"/changes/{number}/start")["state"] == "implementing"
    assert road.events(number, "change.start") == [
        (
            "change.start",
            "devops",
            MORNING,
            {
                "from": "approved",
                "to": "implementing",
                "priority": "P0",
                "undone": [text for text in LEFT_OUT if text != "Tag the state to come back to"],
            },
        ),
    ]


def test_what_an_emergency_left_out_is_a_task_of_its_review(desk: Sit, road: Road) -> None:
    """A29, A13: it stands with the review until each was done, or skipped with a reason."""
    number = road.failed("P0")
    words = "Left out before the start:</b> " + "; ".join(LEFT_OUT) + "."
    assert words in road.page(number)
    health, backup, *rest = road.items(number, "pre")
    road.settle(number, health, "done")
    road.settle(number, backup, "skipped", note="The system is the backup")
    assert "Left out before the start:</b> " + "; ".join(LEFT_OUT[2:]) + "." in road.page(number)
    for item in rest:
        road.settle(number, item, "done")
    assert "Left out before the start" not in road.page(number)


def test_an_emergency_finishes_and_completes_as_others_do(desk: Sit, road: Road) -> None:
    """A29 is about the start alone: `start`, `during` and `post` hold a P0 up, `pre` never does."""
    number = road.implementing("P0")
    assert pressed(desk, number, "finish") == ["checklist"]
    desk("devops").tick_off(number, "start", "during")
    assert pressed(desk, number, "finish") == []
    assert pressed(desk, number, "complete") == ["checklist"]
    desk("devops").tick_off(number, "post")
    assert pressed(desk, number, "complete") == []
    assert {item["state"] for item in road.items(number, "pre")} == {"open"}


def test_the_start_of_a_planned_change_names_nothing_left_out(road: Road) -> None:
    """R149: the event of a P3's start, the whole of it."""
    number = road.implementing()
    expected = {"from": "scheduled", "to": "implementing", "priority": "P3"}
    assert road.events(number, "change.start") == [("change.start", "devops", SLOT, expected)]


def test_a_verb_refused_by_its_phase_leaves_no_trace(desk: Sit, road: Road) -> None:
    """Promises 4 and 8: state, stamps and trail are as before."""
    number = road.implementing()
    before: dict[str, Any] = desk("auditor").get(f"/changes/{number}")
    events = Event.objects.count()
    desk("devops").post(f"/changes/{number}/finish", expect=409)
    assert desk("auditor").get(f"/changes/{number}") == before
    assert Event.objects.count() == events
