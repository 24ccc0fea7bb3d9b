"""“Not applicable” is an answer, not a way round (A34, X23), and the evidence of an earlier
change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]


@pytest.fixture(autouse=True)
def october(at: Any) -> None:
    at("2026-10-01T09:00Z")


WHY = {"not_applicable": "Nothing of that is touched"}


def errors(problem: dict[str, Any]) -> list[str]:
    return sorted(error["field"] for error in problem["errors"])


def approve(
    desk: Sit, who: str, number: str, kind: str, answers: dict[str, Any], expect: int = 422
) -> Any:
    return desk(who).decide(number, kind, checklist=answers, expect=expect)


@pytest.mark.parametrize(
    ("who", "kind", "all_items", "never"),
    [
        ("tech-lead", "technical", ["T1", "T2", "T3", "T4", "T5"], ["T1", "T2"]),
        ("security", "security", ["S1", "S2", "S3", "S4"], ["S1"]),
        ("product-manager", "business", ["B1", "B2", "B3", "B4"], ["B1"]),
    ],
)
def test_some_items_are_always_judged(
    desk: Sit, who: str, kind: str, all_items: list[str], never: list[str]
) -> None:
    """A34, R38, R39, R45, R50: T1, T2, S1 and B1 are never not applicable; all others may be, with
    a sentence.
    """
    number = str(desk("engineer").submit("P2", affects_network=True)["id"])
    assert errors(approve(desk, who, number, kind, dict.fromkeys(all_items, WHY))) == [
        f"checklist.{key}" for key in never
    ]
    for note in ("x", "small", "n/a", "not needed", ". . . .", "1 2 3 4"):
        answers = dict.fromkeys(all_items, True) | {all_items[-1]: {"not_applicable": note}}
        assert errors(approve(desk, who, number, kind, answers)) == [
            f"checklist.{all_items[-1]}"
        ], note
    answers = {key: True if key in never else WHY for key in all_items}
    assert approve(desk, who, number, kind, answers, expect=200)["state"] == "approved"


def test_a_p3_without_evidence_is_not_passed(desk: Sit) -> None:
    """X23, A19: T2 can neither be ticked nor be spared; with evidence it passes."""
    bare = str(desk("engineer").submit("P3", rollback_tested=None)["id"])
    ticks: dict[str, Any] = dict.fromkeys(["T1", "T2", "T3", "T4", "T5", "T6"], True)
    refused = approve(desk, "tech-lead", bare, "technical", ticks)
    assert [(e["field"], "no evidence yet" in e["message"]) for e in refused["errors"]] == [
        ("checklist.T2", True)
    ]
    assert errors(approve(desk, "tech-lead", bare, "technical", ticks | {"T2": WHY})) == [
        "checklist.T2"
    ]
    version = desk("engineer").get(f"/changes/{bare}")["version"]
    shown = {"what": "Went back to 3.1", "where": "staging", "when": "2026-09-30"}
    desk("engineer").patch(f"/changes/{bare}", {"version": version, "rollback_tested": shown})
    assert approve(desk, "tech-lead", bare, "technical", ticks, expect=200)["state"] == "approved"


def test_the_sign_off_reads_what_was_spared_and_the_report_counts_it(desk: Sit, at: Any) -> None:
    """A34: the card of the next stage says which items were so answered, and why; the event names
    them.
    """
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P3")["id"])
    ticks: dict[str, Any] = dict.fromkeys(["T1", "T2", "T3", "T4", "T5", "T6"], True) | {"T4": WHY}
    approve(desk, "tech-lead", number, "technical", ticks, expect=200)
    step = next(s["id"] for s in desk("devops").steps(number) if s["kind"] == "sign_off")
    desk("devops").client.force_login(desk("devops").user)
    card = desk("devops").client.get(f"/approvals/{step}/").content.decode()
    assert "Dependencies are identified and addressed" in card
    assert "Nothing of that is touched" in card
    events = desk("auditor").get(f"/audit?change={number}&action=approval.decide")["items"]
    assert [event["data"].get("not_applicable") for event in events] == [["T4"]]


def test_the_card_shows_the_security_answers_it_asks_to_confirm(desk: Sit) -> None:
    """X14, A16, R44: the four answers in words, and why a security review is asked for."""
    number = str(desk("engineer").submit("P2", affects_network=True)["id"])
    step = next(s["id"] for s in desk("tech-lead").steps(number) if s["kind"] == "technical")
    desk("tech-lead").client.force_login(desk("tech-lead").user)
    card = " ".join(desk("tech-lead").client.get(f"/approvals/{step}/").content.decode().split())
    for words, answer in (
        ("Does it affect how people sign in (authentication)?", "No"),
        ("Does it affect who may do what (authorization)?", "No"),
        ("Does it affect how data is read or stored (data access)?", "No"),
        ("Does it affect the network configuration?", "Yes"),
    ):
        assert f"{words} <b>{answer}</b>" in card
    assert "A security review is asked for: a security question is answered yes." in card


class TestAnEarlierChange:
    """A34: evidence given as `rollback_tested.change`."""

    PLAN = "Set the interval back to 20 min\nRedeploy search 3.1"

    def pointing(self, desk: Sit, number: str, **more: Any) -> dict[str, Any]:
        made = desk("engineer").create("P2", rollback_tested={"change": number}, **more)
        answer: dict[str, Any] = desk("engineer").call("POST", f"/changes/{made['id']}/submit", {})
        return answer

    def test_it_counts_when_all_is_alike_and_the_card_shows_its_age(
        self, desk: Sit, at: Any
    ) -> None:
        at("2026-10-01T09:00Z")
        earlier = str(desk("engineer2").submit("P2")["id"])
        at("2026-10-11T09:00Z")
        later = self.pointing(
            desk, earlier, requested_date="2026-10-12", rollback_plan=f"  {self.PLAN} "
        )
        assert later["state"] == "in_review"
        step = next(
            s["id"] for s in desk("tech-lead").steps(later["id"]) if s["kind"] == "technical"
        )
        desk("tech-lead").client.force_login(desk("tech-lead").user)
        card = " ".join(
            desk("tech-lead").client.get(f"/approvals/{step}/").content.decode().split()
        )
        assert f">{earlier}</a>, 11 d" in card, "its words name 30 September"
        assert desk("tech-lead").decide(later["id"], "technical")["state"] == "approved"

    @pytest.mark.parametrize(
        ("more", "said"),
        [
            ({"components": ["cdn"]}, "touches none of these components"),
            ({"strategy": "blue_green"}, "went by another strategy"),
            ({"rollback_plan": "Something else"}, "reads otherwise"),
        ],
    )
    def test_what_is_not_alike_proves_nothing(
        self, desk: Sit, at: Any, more: dict[str, Any], said: str
    ) -> None:
        at("2026-10-01T09:00Z")
        earlier = str(desk("engineer2").submit("P2")["id"])
        refused = self.pointing(desk, earlier, **more)
        assert errors(refused) == ["rollback_tested"]
        assert said in refused["detail"]

    def test_neither_a_pointer_to_a_pointer_nor_a_hidden_one(self, desk: Sit, at: Any) -> None:
        at("2026-10-01T09:00Z")
        first = str(desk("engineer2").submit("P2")["id"])
        second = self.pointing(desk, first)
        assert errors(self.pointing(desk, str(second["id"]))) == ["rollback_tested"]
        hidden = str(desk("engineer2").submit("P2", confidential=True)["id"])
        absent = self.pointing(desk, "CR-2026-10-01-999")["detail"].replace(
            "CR-2026-10-01-999", "N"
        )
        assert self.pointing(desk, hidden)["detail"].replace(hidden, "N") == absent

    @pytest.mark.parametrize(("day", "counts"), [("2027-03-29", True), ("2027-03-30", False)])
    def test_it_is_good_for_180_days(self, desk: Sit, at: Any, day: str, counts: bool) -> None:
        """The words name 30 September 2026; 180 days later is 29 March 2027."""
        at("2026-10-01T09:00Z")
        earlier = str(desk("engineer2").submit("P2")["id"])
        at(f"{day}T00:00:00Z")
        found = self.pointing(desk, earlier, requested_date="2027-04-06")
        assert (found.get("state") == "in_review") == counts, found
