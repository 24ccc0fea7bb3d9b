"""The verbs of a run: who may, from which states, and what never refuses (domain.md, A28, A30)."""

from __future__ import annotations

from typing import Any

import pytest

from notifications.models import Message
from tests.implementation.road import EVERYBODY, MORNING, SLOT, Road, Sit, told, tried, why

pytestmark = pytest.mark.django_db
REASON = {"reason": "Because of the index"}
BODIES: dict[str, Any] = {"extend": {"minutes": 10, **REASON}, "start": {}, "take-over": {}}

# --- who may --------------------------------------------------------------------------------

#: (verb, the state in which it is pressed, who may); `devops` implements, `engineer` requested.
WHO = [
    ("start", "scheduled", {"devops"}),
    ("finish", "implementing", {"devops"}),
    ("complete", "verifying", {"devops"}),
    ("roll-back", "implementing", {"devops", "oncall"}),
    ("roll-back", "verifying", {"devops", "oncall"}),
    ("roll-back", "completed", {"devops", "oncall"}),
    ("finish-rollback", "rolling_back", {"devops"}),
    ("fail", "implementing", {"devops", "change-manager"}),
    ("fail", "rolling_back", {"devops", "change-manager"}),
    ("fail", "completed", {"devops", "change-manager"}),
    ("extend", "implementing", {"oncall", "change-manager"}),
    ("extend", "verifying", {"oncall", "change-manager"}),
    ("take-over", "implementing", {"devops2", "senior-devops", "devops-lead", "oncall"}),
    ("take-over", "rolling_back", {"devops2", "senior-devops", "devops-lead", "oncall"}),
]


@pytest.mark.parametrize(("verb", "state", "who"), WHO)
def test_exactly_the_people_of_the_table_may(
    desk: Sit,
    road: Road,
    verb: str,
    state: str,
    who: set[str],
) -> None:
    """R61, R97, A25, A26, A28, A30: implementer, on-call, change manager; no role implies more."""
    number = getattr(road, state)("P2")
    desk("devops").tick_off(number, "start", "during", "post", "rollback")
    may = set()
    for person in EVERYBODY:
        with tried():
            desk(person).call("POST", f"/changes/{number}/{verb}", BODIES.get(verb, REASON))
            status = desk(person).status
            yours_already = (verb, person) == ("take-over", "devops")
            assert status in (200, 409 if yours_already else 403), (person, status)
            may |= {person} if status == 200 else set()
    assert may == who


ANY_DEVOPS = {"devops", "devops2", "senior-devops", "devops-lead", "oncall"}


def test_whoever_of_devops_starts_a_change_without_implementer_is_it(desk: Sit, road: Road) -> None:
    """A28: any DevOps role while the field is empty; from the start on it is that person."""
    number = road.scheduled("P2", implementer=None)
    may = set()
    for person in EVERYBODY:
        with tried():
            answer = desk(person).call("POST", f"/changes/{number}/start")
            if desk(person).status == 200:
                assert (answer["implementer"], answer["state"]) == (person, "implementing")
                may.add(person)
    assert may == ANY_DEVOPS


def test_the_only_approver_of_the_last_stage_does_not_start_it(desk: Sit, road: Road) -> None:
    """A2: `devops2` alone signed the P3 off."""
    number = road.scheduled("P3", implementer=None)
    for verb in ("start", "take-over"):
        refusal = desk("devops2").post(f"/changes/{number}/{verb}", expect=403)
        assert why(refusal) == ["only_approver"]
    desk("senior-devops").post(f"/changes/{number}/start")


# --- from which states ------------------------------------------------------------------------

#: Who presses each, so that the state alone decides.
HANDS = {
    "start": "devops",
    "finish": "devops",
    "complete": "devops",
    "roll-back": "devops",
    "finish-rollback": "devops",
    "fail": "devops",
    "extend": "oncall",
    "take-over": "oncall",
    "close": "change-manager",
}
POSSIBLE: dict[str, set[str]] = {
    "draft": set(),
    "in_review": set(),
    "approved": {"take-over"},
    "scheduled": {"start", "take-over"},
    "implementing": {"finish", "roll-back", "fail", "extend", "take-over"},
    "verifying": {"complete", "roll-back", "fail", "extend", "take-over"},
    "rolling_back": {"finish-rollback", "fail", "take-over"},
    "completed": {"roll-back", "fail"},
    "rolled_back": set(),
    "failed": set(),
    "closed": {"roll-back", "fail"},
    "closed after a rollback": set(),
    "closed after a failure": set(),
}


def brought_to(road: Road, state: str) -> str:
    """A P2 in that state, everything of its checklist done that there is."""
    desk, ends = road.desk, {"closed": "completed", "closed after a rollback": "rolled_back"}
    if state in ("draft", "in_review"):
        road.at(MORNING)
        change = desk("engineer").create("P2", implementer="devops")
        if state == "in_review":
            desk("engineer").post(f"/changes/{change['id']}/submit")
        return str(change["id"])
    if state == "approved":
        number = road.scheduled("P2")
        desk("engineer").post(f"/changes/{number}/unschedule", REASON)
        return number
    number = str(getattr(road, ends.get(state, "failed") if "closed" in state else state)("P2"))
    if "closed" in state:
        desk("devops").put(f"/changes/{number}/review", {"summary": "As it was"})
        if state != "closed":
            desk("tech-lead").post(f"/changes/{number}/review/confirmation")
        assert road.state(number) == "closed"
    else:
        desk("devops").tick_off(number, "start", "during", "post", "rollback")
    return number


@pytest.mark.parametrize("state", POSSIBLE)
def test_each_verb_is_possible_in_its_states_alone(desk: Sit, road: Road, state: str) -> None:
    """domain.md (the transitions), A30: from every other state it is 409 and changes nothing."""
    number, found = brought_to(road, state), set()
    before = desk("auditor").get(f"/changes/{number}")
    for verb, who in HANDS.items():
        with tried():
            desk(who).call("POST", f"/changes/{number}/{verb}", BODIES.get(verb, REASON))
            if desk(who).status == 200:
                found.add(verb)
            else:
                assert desk(who).status == 409, verb
                assert desk("auditor").get(f"/changes/{number}") == before
    assert found == POSSIBLE[state]


# --- take over --------------------------------------------------------------------------------


def test_whoever_takes_over_is_the_implementer_with_one_click(desk: Sit, road: Road) -> None:
    """A28: also during a run; whoever implemented it is told and does no more."""
    number = road.implementing()
    version = desk("oncall").get(f"/changes/{number}")["version"]
    assert road.press(number, "take-over", "oncall") == 302
    change = desk("oncall").get(f"/changes/{number}")
    assert (change["implementer"], change["version"]) == ("oncall", version + 1)
    assert change["state"] == "implementing"
    assert told("taken_over") == ["devops"]
    message = Message.objects.get(kind="taken_over")
    assert message.subject == f"{number}: Rosa Jimenez has taken over from you"
    desk("oncall").tick_off(number, "start", "during")
    refusal = desk("devops").post(f"/changes/{number}/finish", expect=403)
    assert refusal["detail"] == "Rosa Jimenez implements it; take it over first, with one click."
    desk("oncall").post(f"/changes/{number}/finish")


def test_nobody_takes_over_from_themselves(desk: Sit, road: Road) -> None:
    """A28: the second click says so."""
    number = road.implementing()
    refusal = desk("devops").post(f"/changes/{number}/take-over", expect=409)
    assert why(refusal) == ["yours_already"]


# --- rolling back is never in the way -----------------------------------------------------------


def everything_in_the_way(road: Road, number: str) -> None:
    """A lockdown, a freeze, a blackout, a failed check, an open checklist, an open issue."""
    desk = road.desk
    desk("change-manager").post("/calendar/lockdowns", {"reason": "Payments fail"}, expect=201)
    for kind in ("freeze", "blackout"):
        times = {"starts": "2026-10-06T00:00Z", "ends": "2026-10-20T00:00Z"}
        edit = {"kind": "closure", "values": {"name": f"the {kind}", "kind": kind, **times}}
        desk("change-manager").post("/calendar/rules", {"edits": [edit], "reason": "Audit"})
    failed = {"name": "health", "kind": "health", "passed": False}
    desk("devops").post(f"/changes/{number}/checks", failed, expect=201)
    issue = {"severity": "P0", "summary": "Search is down"}
    desk("devops").post(f"/changes/{number}/issues", issue, expect=201)


@pytest.mark.parametrize("state", ["implementing", "verifying", "completed"])
def test_nothing_refuses_a_rollback_or_a_failure(desk: Sit, road: Road, state: str) -> None:
    """A30: no window, freeze, lockdown, training or checklist; days past its slot, too."""
    number = getattr(road, state)()
    everything_in_the_way(road, number)
    road.at("2026-10-09T12:00:00Z")
    with tried():
        assert desk("devops").post(f"/changes/{number}/fail", REASON)["state"] == "failed"
    assert desk("oncall").post(f"/changes/{number}/roll-back", REASON)["state"] == "rolling_back"
    desk("devops").tick_off(number, "rollback")
    change = desk("devops").post(f"/changes/{number}/finish-rollback")
    assert (change["state"], change["outcome"]) == ("rolled_back", "rolled_back")


@pytest.mark.parametrize("trigger", ["health", "error_rate", "latency", "critical", "manual"])
def test_a_rollback_takes_the_five_triggers(desk: Sit, road: Road, trigger: str) -> None:
    """R93, R94, R95, R96, R97, contract.md: each is kept as it was given."""
    number = road.implementing()
    desk("devops").post(f"/changes/{number}/roll-back", REASON | {"trigger": trigger})
    ((_, _, _, data),) = road.events(number, "change.roll_back")
    assert data["trigger"] == trigger


def test_a_rollback_of_unknown_trigger_or_without_reason_is_refused(desk: Sit, road: Road) -> None:
    """R150: 422 at its field, by API and by button; nothing moves."""
    number = road.implementing()
    for body, field in (
        ({"reason": "", "trigger": "manual"}, "reason"),
        ({"reason": " \n", "trigger": "health"}, "reason"),
        ({}, "reason"),
        (REASON | {"trigger": "moon"}, "trigger"),
    ):
        refusal = desk("devops").post(f"/changes/{number}/roll-back", body, expect=422)
        assert [error["field"] for error in refusal["errors"]] == [field]
        assert road.press(number, "roll_back", "devops", **body) == 422
    assert road.state(number) == "implementing"


@pytest.mark.parametrize("verb", ["fail", "extend"])
@pytest.mark.parametrize("reason", [{}, {"reason": "  "}])
def test_failing_and_extending_need_a_reason(
    desk: Sit,
    road: Road,
    verb: str,
    reason: dict[str, str],
) -> None:
    """A4, A25, domain.md: 422 at the field; nothing moves."""
    number = road.implementing()
    body = {"minutes": 10, **reason} if verb == "extend" else reason
    who = HANDS[verb]
    refusal = desk(who).post(f"/changes/{number}/{verb}", body, expect=422)
    assert [error["field"] for error in refusal["errors"]] == ["reason"]
    assert (road.state(number), road.press(number, verb, who, **body)) == ("implementing", 422)


def test_whom_a_rollback_is_told(desk: Sit, road: Road) -> None:
    """R117, R150: requester and change managers at once, with the reason."""
    number = road.implementing()
    desk("devops").post(f"/changes/{number}/roll-back", REASON)
    assert told("rolling_back") == ["change-manager", "engineer"]
    for message in Message.objects.filter(kind="rolling_back"):
        assert message.subject == f"{number} is being rolled back"
        assert message.body.startswith("Because of the index\n\n“Search: refresh")


def test_a_second_press_is_told_where_it_stands(desk: Sit, road: Road) -> None:
    """Promise 8: the state and where the verb is possible, in words."""
    number = road.implementing()
    assert desk("auditor").get(f"/changes/{number}")["started_at"] == SLOT
    refusal = desk("devops").post(f"/changes/{number}/start", expect=409)
    possible = "“Start” is possible when it is scheduled or approved."
    assert refusal["detail"] == f"{number} is implementing; {possible}"
