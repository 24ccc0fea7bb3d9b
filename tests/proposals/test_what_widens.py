"""What allows more waits for its second person; what allows less is in effect at once (A27)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from approvals.models import Policy
from proposals.models import Proposal
from tests.approvals.policy_editor.test_policy_editor import Editor
from tests.windows.rules.test_rules import edit, freeze, opening, rules, save
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]
Edit = dict[str, Any]


@pytest.fixture(autouse=True)
def october(at: Any) -> None:
    at("2026-10-01T09:00Z")


def is_open(desk: Sit, at: str, priority: str = "P2") -> bool:
    return bool(desk("engineer").get(f"/calendar/state?at={at}&priority={priority}")["open"])


def thanksgiving(desk: Sit, **more: Any) -> Edit:
    return edit(desk, "the code freeze for Thanksgiving", **more)


def ended(desk: Sit, kind: str, name: str) -> Edit:
    return {"kind": kind, "key": rules(desk)[name]["key"], "values": None}


def nightly(name: str, rule: str, begins: str) -> Edit:
    values = {"name": name, "rule": rule, "begins": begins, "minutes": 120}
    return {"kind": "window", "values": values}


HOLIDAY = {"country": "US", "holiday": "Thanksgiving Day"}
#: what is edited → (the edit, a moment that it opens, to which priority)
WIDER: dict[str, tuple[Callable[[Sit], Edit], str, str]] = {
    "a longer window": (
        lambda desk: edit(desk, "Primary", minutes=150),
        "2026-10-06T04:15Z",
        "P2",
    ),
    "a window that opens earlier": (
        lambda desk: edit(desk, "Primary", begins="2000-01-04T01:00"),
        "2026-10-06T01:30Z",
        "P2",
    ),
    "a window on one more day": (
        lambda desk: edit(desk, "Primary", rule="FREQ=WEEKLY;BYDAY=TU,FR"),
        "2026-10-09T02:30Z",
        "P2",
    ),
    "a new window": (
        lambda desk: nightly("Third", "FREQ=WEEKLY;BYDAY=SA", "2026-10-03T02:00"),
        "2026-10-10T02:30Z",
        "P3",
    ),
    "a one-off opening": (
        lambda desk: opening("Catalogue move", "2026-10-10T08:00"),
        "2026-10-10T08:30Z",
        "P1",
    ),
    "a freeze of 7 days instead of 14": (
        lambda desk: thanksgiving(desk, first=HOLIDAY | {"offset": -7}),
        "2026-11-17T02:30Z",
        "P2",
    ),
    "a freeze that admits P1": (
        lambda desk: thanksgiving(desk, admits=["P0", "P1"]),
        "2026-11-17T02:30Z",
        "P1",
    ),
    "a freeze for one component": (
        lambda desk: thanksgiving(desk, scope=["payments"]),
        "2026-11-17T02:30Z",
        "P2",
    ),
    "a freeze that is gone": (
        lambda desk: ended(desk, "closure", "the code freeze for Thanksgiving"),
        "2026-11-17T02:30Z",
        "P2",
    ),
    "a shopping season that ends sooner": (
        lambda desk: edit(desk, "the holiday shopping season", last={"month": 12, "day": 5}),
        "2026-12-08T02:30Z",
        "P2",
    ),
}


@pytest.mark.parametrize("what", WIDER)
def test_what_opens_time_waits_for_its_second_person(desk: Sit, what: str) -> None:
    """A27, R72, R73, R75, R76, R77: shut until somebody else confirms it, open from then on."""
    make, moment, priority = WIDER[what]
    assert not is_open(desk, moment, priority)
    answer = save(desk, make(desk))
    assert (answer["applied"], len(answer["widens"]) >= 1) == (False, True)
    assert [item["id"] for item in desk("cto").get("/proposals")["items"]] == [answer["proposal"]]
    assert not is_open(desk, moment, priority), "proposed is not in effect"
    desk("cto").post(f"/proposals/{answer['proposal']}/confirm")
    assert is_open(desk, moment, priority)


#: what is edited → (the edit, a moment that it shuts)
NARROWER: dict[str, tuple[Callable[[Sit], Edit], str]] = {
    "a shorter window": (
        lambda desk: edit(desk, "Primary", minutes=90),
        "2026-10-06T03:45Z",
    ),
    "a window every other week": (
        lambda desk: edit(desk, "Primary", rule="FREQ=WEEKLY;INTERVAL=2;BYDAY=TU"),
        "2026-10-13T02:30Z",
    ),
    "a window without P2": (
        lambda desk: edit(desk, "Primary", priorities=["P1", "P3"]),
        "2026-10-06T02:30Z",
    ),
    "a window that is gone": (
        lambda desk: ended(desk, "window", "Secondary"),
        "2026-10-08T02:30Z",
    ),
    "a new freeze": (
        lambda desk: freeze("the audit", "2026-10-06T00:00Z", "2026-10-07T00:00Z"),
        "2026-10-06T02:30Z",
    ),
    "a new blackout": (
        lambda desk: freeze("the sale", "2026-10-06T00:00Z", "2026-10-07T00:00Z", kind="blackout"),
        "2026-10-06T02:30Z",
    ),
    "a freeze of 21 days instead of 14": (
        lambda desk: thanksgiving(desk, first=HOLIDAY | {"offset": -21}),
        "2026-11-10T02:30Z",
    ),
}


@pytest.mark.parametrize("what", NARROWER)
def test_what_shuts_time_is_in_effect_at_once(desk: Sit, what: str) -> None:
    """A27: narrowing is immediate; nobody is asked."""
    make, moment = NARROWER[what]
    assert is_open(desk, moment)
    assert save(desk, make(desk)) == {"applied": True, "proposal": None, "widens": []}
    assert not is_open(desk, moment)
    assert desk("cto").get("/proposals")["items"] == []


def test_a_lockdown_is_immediate(desk: Sit) -> None:
    """A27: whoever stops everything waits for nobody."""
    desk("change-manager").post("/calendar/lockdowns", {"reason": "Payments fail"}, expect=201)
    assert not is_open(desk, "2026-10-01T09:00Z")
    assert desk("cto").get("/proposals")["items"] == []


def test_more_places_in_a_window_wait_and_fewer_do_not(desk: Sit) -> None:
    """A27: capacity none → 3 → 2 at once; 2 → 3 and 2 → none are proposed."""
    for places in (3, 2):
        assert save(desk, edit(desk, "Primary", capacity=places))["applied"]
    for places in (3, None):
        assert not save(desk, edit(desk, "Primary", capacity=places))["applied"]
    assert rules(desk)["Primary"]["capacity"] == 2


def test_a_priority_leaves_a_window_at_once_and_comes_back_by_two(desk: Sit) -> None:
    """A27: P2 out is immediate, P2 in again is proposed."""
    assert save(desk, edit(desk, "Primary", priorities=["P1", "P3"]))["applied"]
    answer = save(desk, edit(desk, "Primary", priorities=["P1", "P2", "P3"]))
    assert (answer["applied"], answer["widens"]) == (False, ["P2 may start in Primary."])
    assert not is_open(desk, "2026-10-06T02:30Z", "P2")


def test_a_blackout_made_a_freeze_waits_and_the_contrary_does_not(desk: Sit) -> None:
    """A27, A6: of a freeze CTO and change manager can grant an exception, of a blackout never."""
    freezes, black = "the code freeze for Thanksgiving", "the Black Friday blackout"
    assert not save(desk, edit(desk, black, kind="freeze"))["applied"]
    assert save(desk, edit(desk, freezes, kind="blackout"))["applied"]
    assert (rules(desk)[black]["kind"], rules(desk)[freezes]["kind"]) == ("blackout", "blackout")


def test_one_edit_that_widens_holds_up_all_that_are_saved_with_it(desk: Sit) -> None:
    """A27: all or none; confirmed, all are in effect in one go."""
    narrow, wide = edit(desk, "Primary", minutes=90), edit(desk, "Secondary", minutes=150)
    key = save(desk, narrow, wide)["proposal"]
    minutes = {name: row["minutes"] for name, row in rules(desk).items() if "minutes" in row}
    assert minutes == {"Primary": 120, "Secondary": 120}
    desk("devops-lead").post(f"/proposals/{key}/confirm")
    minutes = {name: row["minutes"] for name, row in rules(desk).items() if "minutes" in row}
    assert minutes == {"Primary": 90, "Secondary": 150}


def test_what_the_process_document_says_needs_no_second_person(desk: Sit) -> None:
    """contract.md: the defaults of `setup_process` are in effect, and nothing waits."""
    assert desk("cto").get("/proposals")["items"] == []
    assert is_open(desk, "2026-10-06T02:00Z")
    assert not is_open(desk, "2026-11-27T02:00Z")


# --- the approval policy ------------------------------------------------------------------------


def ticked(editor: Editor, place: str, *left_out: str) -> str:
    """The step's checklist as the form holds it, without some of its items."""
    priority, stage, index = place.split("-")
    items = editor.draft.rules[priority]["stages"][int(stage) - 1][int(index)]["checklist"]
    kept = [item for item in items if item["key"] not in left_out]
    return "\n".join(f"{item['key']}: {item['text']}" for item in kept)


def more_items(editor: Editor) -> None:
    checklist = ticked(editor, "P2-1-0") + "\nT7: The load test is attached"
    editor.save("P2-1-0", checklist=checklist)


def fewer_items(editor: Editor) -> None:
    editor.save("P2-1-0", checklist=ticked(editor, "P2-1-0", "T5"))


EITHER = "Engineering manager or DevOps lead"
P3_WAS = "DevOps engineer, Senior DevOps engineer or DevOps lead"
#: edits of a draft → the sentences of what it would allow more; none: it is in effect at once
POLICIES: dict[str, tuple[Callable[[Editor], Any], list[str]]] = {
    "one more role": (
        lambda editor: editor.save("P3-2-0", roles=["engineer", "devops-engineer"]),
        [
            "P3: lets one more role decide, and see what is confidential: Engineer.",
            f"P3: sign-off: by Engineer or DevOps engineer, instead of {P3_WAS}.",
        ],
    ),
    "one instead of both": (
        lambda editor: editor.save("P1-2-0", mode="any"),
        [f"P1: sign-off: by {EITHER}, instead of {EITHER.replace(' or ', ' and ')}."],
    ),
    "a review that is not asked any more": (
        lambda editor: editor.edit("remove", priority="P2", place="P2-1-2"),
        ["P2: the business approval is not asked any more."],
    ),
    "an item that is not asked any more": (
        fewer_items,
        ["P2: technical review: no longer asks T5 “Resource requirements are adequate”."],
    ),
    "two technical reviewers": (lambda editor: editor.save("P2-1-0", needed=2), []),
    "one more item": (more_items, []),
    "a business approval of every P3": (lambda editor: editor.save("P3-1-2", when=[]), []),
}


@pytest.mark.parametrize("what", POLICIES)
def test_a_policy_that_lets_more_through_waits_a_stricter_one_not(what: str) -> None:
    """A27, A2: the published version is the old one until somebody else confirms the new one."""
    change, widens = POLICIES[what]
    editor = Editor(what)
    change(editor)
    editor.publish()
    assert [proposal.widens for proposal in Proposal.objects.all()] == ([widens] if widens else [])
    assert Policy.objects.latest("version").version == (1 if widens else 2)
    assert editor.draft.state == ("proposed" if widens else "published")


def test_nobody_is_asked_by_a_policy_that_waits(desk: Sit) -> None:
    """R11, A27: an engineer signs off no P3 until the CTO has confirmed that they may."""
    editor = Editor("Engineers sign off P3")
    editor.save("P3-2-0", roles=["engineer", "devops-engineer"])
    editor.publish()

    def reviewed() -> str:
        number = str(desk("devops2").submit("P3")["id"])
        desk("tech-lead").decide(number, "technical")
        return number

    desk("engineer").decide(reviewed(), "sign_off", expect=403)
    desk("cto").post(f"/proposals/{Proposal.objects.get().pk}/confirm")
    desk("engineer").decide(reviewed(), "sign_off")
