"""The reviewers' checklists, word for word as the process document has them, and that they bind."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]

TECHNICAL = [
    ("T1", "Implementation steps are clear and complete"),
    ("T2", "Rollback plan is feasible and tested"),
    ("T3", "Testing plan covers all affected functionality"),
    ("T4", "Dependencies are identified and addressed"),
    ("T5", "Resource requirements are adequate"),
]
SECURITY = [
    ("S1", "Security implications assessed"),
    ("S2", "Compliance requirements met"),
    ("S3", "Access controls maintained"),
    ("S4", "Data protection measures in place"),
]
BUSINESS = [
    ("B1", "Business value justified"),
    ("B2", "User impact acceptable"),
    ("B3", "Timeline aligns with business needs"),
    ("B4", "Resources allocated"),
]
DOCUMENT = {"technical": TECHNICAL, "security": SECURITY, "business": BUSINESS}
REVIEWERS = {"technical": "tech-lead", "security": "security", "business": "product-manager"}
#: Everything at once, so that each kind of review is asked for.
ALL_REVIEWS = {"affects_network": True, "downtime_required": True, "downtime_minutes": 5}


@pytest.fixture(autouse=True)
def october(at: Any) -> None:
    at("2026-10-01T09:00Z")


def of_kind(desk: Desk, number: str, kind: str) -> dict[str, Any]:
    return next(step for step in desk.steps(number) if step["kind"] == kind)


def texts(step: dict[str, Any]) -> list[tuple[str, str]]:
    return [(item["key"], item["text"]) for item in step["checklist"]]


def on_page(person: Desk, address: str) -> list[tuple[str, str]]:
    """The checklist of a page as a reviewer reads it: each tick's key, and the words beside it."""
    person.client.force_login(person.user)
    answer = person.client.get(address)
    assert answer.status_code == 200, address
    labels = r'<label for="tick_(\w+)">(.*?)(?:<br>|</label>)'
    found = re.findall(labels, answer.content.decode(), re.DOTALL)
    return [(key, html.unescape(words).strip()) for key, words in found]


def submitted(desk: Sit, priority: str, facts: dict[str, Any]) -> str:
    return str(desk("engineer").submit(priority, **facts)["id"])


def owed_reviews(desk: Sit) -> str:
    """A P0 that has ended, so that its reviews are owed."""
    number = str(desk("engineer").submit("P0", **ALL_REVIEWS)["id"])
    desk("cto").decide(number, "emergency")
    desk("oncall").post(f"/changes/{number}/start")
    desk("oncall").post(f"/changes/{number}/fail", {"reason": "It did not help"})
    return number


@pytest.mark.parametrize("priority", ["P0", "P1", "P2", "P3"])
def test_the_thirteen_items_are_the_documents_own_words(desk: Sit, priority: str) -> None:
    """R38, R39, R40, R41, R42, R45, R46, R47, R48, R50, R51, R52, R53: in its order, no more."""
    owed = priority == "P0"
    number = owed_reviews(desk) if owed else submitted(desk, priority, ALL_REVIEWS)
    shown = {kind: texts(of_kind(desk("auditor"), number, kind)) for kind in DOCUMENT}
    assert shown == DOCUMENT


@pytest.mark.parametrize("kind", ["technical", "security", "business"])
def test_the_reviewer_reads_the_same_words_on_the_card_and_on_the_change(
    desk: Sit,
    kind: str,
) -> None:
    """R38, R39, R40, R41, R42, R45, R46, R47, R48, R50, R51, R52, R53: the approver's pages."""
    number = str(desk("engineer").submit("P2", **ALL_REVIEWS)["id"])
    reviewer = desk(REVIEWERS[kind])
    step = of_kind(reviewer, number, kind)
    assert on_page(reviewer, f"/approvals/{step['id']}/") == DOCUMENT[kind]
    assert on_page(reviewer, f"/changes/{number}/") == DOCUMENT[kind]


def test_sign_off_and_emergency_authorisation_have_nothing_to_tick(desk: Sit) -> None:
    """R3, R7, R11: the document gives the reviews a checklist, and nobody else."""
    found = {}
    for priority, kind in (("P1", "sign_off"), ("P3", "sign_off"), ("P0", "emergency")):
        number = str(desk("engineer").submit(priority)["id"])
        found[priority] = texts(of_kind(desk("auditor"), number, kind))
    assert found == {"P1": [], "P3": [], "P0": []}


@pytest.mark.parametrize(
    ("facts", "sixth"),
    [
        ({}, True),
        ({"affects_authentication": True}, False),
        ({"affects_authorization": True}, False),
        ({"affects_data_access": True}, False),
        ({"affects_network": True}, False),
        ({"components": ["payments"]}, True),
    ],
)
@pytest.mark.parametrize("priority", ["P2", "P3"])
def test_four_noes_are_confirmed_by_a_sixth_item(
    desk: Sit,
    priority: str,
    facts: dict[str, Any],
    sixth: bool,
) -> None:
    """R44, A16: T6 stands there exactly when all four answers are no, a marked component apart."""
    number = str(desk("engineer").submit(priority, **facts)["id"])
    found = texts(of_kind(desk("auditor"), number, "technical"))
    assert found[:5] == TECHNICAL
    assert [key for key, _ in found[5:]] == (["T6"] if sixth else [])
    assert all("security" in words and "no" in words for _, words in found[5:])


def test_the_sixth_item_comes_and_goes_with_the_answers(desk: Sit) -> None:
    """A16: an edit of an answer begins a round with the checklist that belongs to it."""
    engineer = desk("engineer")
    number, seen = str(engineer.submit("P2")["id"]), []
    for answer in (True, False):
        version = engineer.get(f"/changes/{number}")["version"]
        engineer.patch(f"/changes/{number}", {"version": version, "affects_network": answer})
        seen.append([key for key, _ in texts(of_kind(engineer, number, "technical"))])
    assert seen == [["T1", "T2", "T3", "T4", "T5"], ["T1", "T2", "T3", "T4", "T5", "T6"]]


@pytest.mark.parametrize(
    ("kind", "facts", "keys"),
    [
        ("technical", {}, ["T1", "T2", "T3", "T4", "T5", "T6"]),
        ("security", ALL_REVIEWS, ["S1", "S2", "S3", "S4"]),
        ("business", {}, ["B1", "B2", "B3", "B4"]),
    ],
)
def test_an_approval_with_one_item_missing_names_that_item(
    desk: Sit,
    kind: str,
    facts: dict[str, Any],
    keys: list[str],
) -> None:
    """R38, R39, R40, R41, R42, R45, R46, R47, R48, R50, R51, R52, R53, A4: left out, or a no."""
    number = str(desk("engineer").submit("P2", **facts)["id"])
    reviewer, ticks = desk(REVIEWERS[kind]), dict.fromkeys(keys, True)
    without = {key: {k: v for k, v in ticks.items() if k != key} for key in keys}
    for answers in (without, {key: ticks | {key: False} for key in keys}):
        found = {key: named(reviewer, number, kind, answers[key]) for key in keys}
        assert found == {key: [f"checklist.{key}"] for key in keys}
    assert named(reviewer, number, kind, {}) == [f"checklist.{key}" for key in keys]
    assert of_kind(reviewer, number, kind)["decisions"] == []
    assert reviewer.decide(number, kind, checklist=ticks)["state"] == "approved"


def named(person: Desk, number: str, kind: str, checklist: dict[str, Any]) -> list[str]:
    """The fields by which an approval with that checklist is refused."""
    answer = person.decide(number, kind, checklist=checklist, expect=422)
    return [error["field"] for error in answer["errors"]]


@pytest.mark.parametrize(
    ("kind", "facts", "keys", "key"),
    [
        ("technical", {}, ["T1", "T2", "T3", "T4", "T5", "T6"], "T3"),
        ("technical", {}, ["T1", "T2", "T3", "T4", "T5", "T6"], "T5"),
        ("security", ALL_REVIEWS, ["S1", "S2", "S3", "S4"], "S3"),
        ("business", {}, ["B1", "B2", "B3", "B4"], "B3"),
    ],
)
def test_not_applicable_says_why(
    desk: Sit,
    kind: str,
    facts: dict[str, Any],
    keys: list[str],
    key: str,
) -> None:
    """A4: an item may be marked not applicable with a note, never without."""
    number = str(desk("engineer").submit("P2", **facts)["id"])
    reviewer, ticks = desk(REVIEWERS[kind]), dict.fromkeys(keys, True)
    for note in ("", "   ", None, True):
        wrong = ticks | {key: {"not_applicable": note}}
        assert named(reviewer, number, kind, wrong) == [f"checklist.{key}"], note
    right = ticks | {key: {"not_applicable": "Only a header changes, nothing else does."}}
    assert reviewer.decide(number, kind, checklist=right)["state"] == "approved"


@pytest.mark.parametrize("part", ["what", "where", "when"])
def test_a_rollback_is_called_tested_only_with_evidence(desk: Sit, part: str) -> None:
    """R39, R146, A4, A19: T2 of a P3 whose evidence lacks a part is refused, by its name."""
    whole = {"what": "Redeployed 3.1", "where": "staging", "when": "2026-09-30"}
    lacking = {**whole, part: ""}
    number = str(desk("engineer").submit("P3", rollback_tested=lacking)["id"])
    ticks = dict.fromkeys(["T1", "T2", "T3", "T4", "T5", "T6"], True)
    assert named(desk("tech-lead"), number, "technical", ticks) == ["checklist.T2"]
    engineer = desk("engineer")
    version = engineer.get(f"/changes/{number}")["version"]
    engineer.patch(f"/changes/{number}", {"version": version, "rollback_tested": whole})
    given = desk("tech-lead").decide(number, "technical", checklist=ticks)
    assert given["state"] == "approved"


def test_the_cards_button_is_refused_with_the_same_names(desk: Sit) -> None:
    """A4: the form of the approver's card binds as the API does; nothing is decided meanwhile."""
    number = str(desk("engineer").submit("P3")["id"])
    reviewer = desk("tech-lead")
    step = of_kind(reviewer, number, "technical")
    reviewer.client.force_login(reviewer.user)
    ticks = {f"tick_{key}": "on" for key in ("T1", "T2", "T3", "T4", "T6")}
    form = {"verdict": "approve", "version": "1", **ticks}
    refused = reviewer.client.post(f"/approvals/{step['id']}/", form)
    assert refused.status_code == 422
    assert "T5" in refused.content.decode().split('id="refusal"')[1].split("</div>")[0]
    assert of_kind(reviewer, number, "technical")["state"] == "open"
    reviewer.client.force_login(reviewer.user)
    accepted = reviewer.client.post(f"/approvals/{step['id']}/", form | {"tick_T5": "on"})
    assert accepted.status_code == 302
    assert of_kind(reviewer, number, "technical")["state"] == "approved"
