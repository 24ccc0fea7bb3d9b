"""What the trail says of each verb: the whole payload of its event, as the auditor reads it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from accounts.models import User
from changemgmt.tick import tick
from requests.models import ChangeRequest
from tests.world import FULL, TICKS, Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]
#: Action, who did it (None: nobody by hand, or the clock), and the whole of what is said.
Said = tuple[str, str | None, dict[str, Any]]
DOWN = {"reason": "It is down", "emergency_kind": "outage", "emergency_reference": "INC-7"}
INSTANTS = ("start", "end", "slot", "due_at")


@pytest.fixture(autouse=True)
def october(at: Any) -> None:
    at("2026-10-01T09:00Z")


def trail(desk: Sit, number: str, *, after: str = "") -> list[Said]:
    """The change's events, instants to the minute in UTC; of a fingerprint that it is one. What a
    round says, tests/audit/test_words.py does.
    """
    events = desk("auditor").get(f"/audit?change={number}&limit=200")["items"]
    assert {event["change"] for event in events} == {number}
    events = [event for event in events if event["action"] != "approval.open_round"]
    found = [(event["action"], event["actor"], plain(event["data"])) for event in events]
    actions = [action for action, _, _ in found]
    return found[len(actions) - actions[::-1].index(after) :] if after else found


def plain(data: dict[str, Any]) -> dict[str, Any]:
    def value(name: str, said: Any) -> Any:
        if name in INSTANTS and said:
            return f"{datetime.fromisoformat(said.replace('Z', '+00:00')):%Y-%m-%d %H:%M %Z}"
        is_hash = name == "content_hash" and re.fullmatch("[0-9a-f]{64}", said)
        return "a fingerprint" if is_hash else said

    return {name: value(name, said) for name, said in data.items()}


def key(username: str) -> int:
    return User.objects.get(username=username).pk


def step_ids(desk: Sit, number: str) -> dict[str, int]:
    return {step["kind"]: step["id"] for step in desk("auditor").steps(number)[::-1]}


def decided(
    desk: Sit,
    number: str,
    kind: str,
    role: str,
    verdict: str = "approve",
    **more: Any,
) -> dict[str, Any]:
    """What a verdict's event says, but for the number of the decision."""
    step = {"step": step_ids(desk, number)[kind], "kind": kind, "round": more.pop("round", 1)}
    facts = {"verdict": verdict, "role": role, "content_hash": "a fingerprint"}
    said = {"comment": "", "checklist": dict.fromkeys(TICKS[kind], True)}
    return step | facts | said | more


def but_decision(events: list[Said]) -> list[Said]:
    """Without the decisions' own numbers, which are there and whole."""
    for action, _, data in events:
        assert (action == "approval.decide") == ("decision" in data)
        assert isinstance(data.pop("decision", 1), int)
    return events


def approve(desk: Sit, number: str) -> None:
    for who, kind in (
        ("tech-lead", "technical"),
        ("product-manager", "business"),
        ("eng-manager", "sign_off"),
        ("devops-lead", "sign_off"),
    ):
        desk(who).decide(number, kind)


def test_from_the_draft_to_its_approval(desk: Sit) -> None:
    """R148: created, submitted, four verdicts with kind and role, approved by nobody's hand."""
    number = str(desk("engineer").submit("P2")["id"])
    approve(desk, number)
    step = {"from": "draft", "to": "in_review", "round": 1, "content_hash": "a fingerprint"}
    done = {"from": "in_review", "to": "approved", "round": 1, "content_hash": "a fingerprint"}
    manager = decided(desk, number, "sign_off", "engineering-manager")
    assert but_decision(trail(desk, number)) == [
        ("change.create", "engineer", {"number": number}),
        ("change.submit", "engineer", step),
        ("approval.decide", "tech-lead", decided(desk, number, "technical", "tech-lead")),
        (
            "approval.decide",
            "product-manager",
            decided(desk, number, "business", "product-manager"),
        ),
        ("approval.decide", "eng-manager", manager),
        ("approval.decide", "devops-lead", decided(desk, number, "sign_off", "devops-lead")),
        ("change.approve", None, done),
    ]


def test_verdicts_and_approval_carry_the_fingerprint_of_what_was_submitted(desk: Sit) -> None:
    """R148, domain.md: one hash for one content; another after an edit, the old one when undone."""
    engineer = desk("engineer")
    number = str(engineer.submit("P2")["id"])
    approve(desk, number)
    engineer.patch(f"/changes/{number}", {"version": 1, "reason": "Another"})
    desk("tech-lead").decide(number, "technical")
    engineer.patch(f"/changes/{number}", {"version": 2, "reason": FULL["reason"]})
    events = desk("auditor").get(f"/audit?change={number}&limit=200")["items"]
    hashes = [
        e["data"]["content_hash"]
        for e in events
        if e["action"] not in ("change.create", "approval.open_round")
    ]
    assert len(hashes) == 1 + 4 + 1 + 2 + 1
    assert len(set(hashes[:6])) == 1
    assert hashes[6] == hashes[7] != hashes[0]
    assert hashes[8] == hashes[0]


@pytest.mark.parametrize(
    ("verdict", "action", "target"),
    [
        ("request_changes", "change.request_changes", "changes_requested"),
        ("reject", "change.reject", "rejected"),
    ],
)
def test_a_no_says_who_at_which_step_and_why(
    desk: Sit,
    verdict: str,
    action: str,
    target: str,
) -> None:
    """R148: the verdict, and the change's move with the comment as its reason."""
    number = str(desk("engineer").submit("P2")["id"])
    desk("product-manager").decide(number, "business", verdict, comment="Not this quarter.")
    business = step_ids(desk, number)["business"]
    move = {"from": "in_review", "to": target, "step": business, "reason": "Not this quarter."}
    assert but_decision(trail(desk, number, after="change.submit")) == [
        (
            "approval.decide",
            "product-manager",
            decided(
                desk, number, "business", "product-manager", verdict, comment="Not this quarter."
            ),
        ),
        (action, "product-manager", move),
    ]


def test_a_waived_review_and_a_second_round(desk: Sit) -> None:
    """R44, R148, A16: waived is a verdict of its own; submitted again is the next round."""
    number = str(desk("engineer").submit("P2", components=["payments"])["id"])
    desk("security").decide(number, "security", "waive", comment="Texts only.")
    desk("tech-lead").decide(number, "technical", "request_changes", comment="More")
    steps = step_ids(desk, number)
    desk("engineer").post(f"/changes/{number}/submit")
    move = {"from": "in_review", "to": "changes_requested", "step": steps["technical"]}
    again = {"from": "changes_requested", "to": "in_review", "round": 2}
    waived, asked = (
        {
            "step": steps[kind],
            "kind": kind,
            "round": 1,
            "verdict": verdict,
            "role": role,
            "comment": comment,
        }
        | {"checklist": dict.fromkeys(TICKS[kind], True)}
        for kind, verdict, role, comment in (
            ("security", "waive", "security-engineer", "Texts only."),
            ("technical", "request_changes", "tech-lead", "More"),
        )
    )
    hashed = {"content_hash": "a fingerprint"}
    assert but_decision(trail(desk, number))[2:] == [
        ("approval.decide", "security", waived | hashed),
        ("approval.decide", "tech-lead", asked | hashed),
        ("change.request_changes", "tech-lead", move | {"reason": "More"}),
        ("change.submit", "engineer", again | hashed),
    ]


def test_an_edit_says_every_field_before_and_after(desk: Sit) -> None:
    """R148: a draft's edit, and the edit that voids an approval and begins a round."""
    engineer = desk("engineer")
    number = str(engineer.create("P2")["id"])
    edit = {"version": 1, "risk": "low", "estimated_minutes": 40}
    engineer.patch(f"/changes/{number}", edit)
    engineer.post(f"/changes/{number}/submit")
    approve(desk, number)
    engineer.patch(f"/changes/{number}", {"version": 2, "affects_network": True})
    said = trail(desk, number)
    fields = {"risk": ["medium", "low"], "estimated_minutes": ["30", "40"]}
    assert said[1] == ("change.edit", "engineer", {"fields": fields, "version": 2})
    assert said[-1] == (
        "change.revise",
        "engineer",
        {
            "from": "approved",
            "to": "in_review",
            "fields": {"affects_network": ["No", "Yes"]},
            "version": 3,
            "round": 2,
            "content_hash": "a fingerprint",
        },
    )


def test_what_is_no_content_is_noted(desk: Sit) -> None:
    """R148: the window asked for, the implementer by key, the flags."""
    engineer = desk("engineer")
    number = str(engineer.submit("P2")["id"])
    edit = {"version": 1, "implementer": "devops", "major": True}
    engineer.patch(f"/changes/{number}", edit)
    fields = {"implementer": [None, key("devops")], "major": [False, True]}
    noted = ("change.note", "engineer", {"fields": fields, "version": 2})
    assert trail(desk, number, after="change.submit") == [noted]


def test_raised_to_p0_and_authorised_by_telephone(desk: Sit) -> None:
    """R3, R148, A4: why, which kind, from which priority; who recorded and on whose behalf."""
    number = str(desk("engineer").submit("P3")["id"])
    desk("change-manager").post(f"/changes/{number}/escalate", DOWN)
    desk("oncall").decide(number, "emergency", on_behalf_of="cto")
    raised = {
        "from": "in_review",
        "to": "in_review",
        "reason": "It is down",
        "priority": ["P3", "P0"],
        "kind": "outage",
        "round": 2,
    }
    spoken = decided(desk, number, "emergency", "cto", round=2, on_behalf_of=key("cto"))
    done = {"from": "in_review", "to": "approved", "round": 2, "content_hash": "a fingerprint"}
    assert but_decision(trail(desk, number, after="change.submit")) == [
        ("change.escalate", "change-manager", raised),
        ("approval.decide", "oncall", spoken),
        ("change.approve", None, done),
    ]


@pytest.mark.parametrize("state", ["draft", "in_review", "approved", "scheduled"])
def test_a_cancellation_says_from_where_and_why(desk: Sit, state: str) -> None:
    """R148: and, if it is one, of which change it is the duplicate."""
    engineer = desk("engineer")
    other, number = (str(engineer.create("P2")["id"]) for _ in range(2))
    if state != "draft":
        engineer.post(f"/changes/{number}/submit")
    if state in ("approved", "scheduled"):
        approve(desk, number)
    if state == "scheduled":
        engineer.post(f"/changes/{number}/schedule", {"start": "2026-10-06T02:00Z"})
    body = {"reason": "Two of them"} | ({} if state == "approved" else {"duplicate_of": other})
    engineer.post(f"/changes/{number}/cancel", body)
    original = None if state == "approved" else ChangeRequest.objects.get(number=other).pk
    said = {"from": state, "to": "cancelled", "reason": "Two of them", "duplicate_of": original}
    assert trail(desk, number)[-1] == ("change.cancel", "engineer", said)


def test_a_transfer_says_from_whom_to_whom(desk: Sit) -> None:
    """R15, R148, A28: people by key."""
    number = str(desk("engineer").submit("P2")["id"])
    desk("change-manager").post(f"/changes/{number}/transfer", {"requester": "engineer2"})
    said = {"from": key("engineer"), "to": key("engineer2")}
    handed_over = ("change.transfer", "change-manager", said)
    assert trail(desk, number, after="change.submit") == [handed_over]


def test_a_booking_its_move_and_its_end_say_the_slot(desk: Sit, at: Any) -> None:
    """R36, R148, A15: start, end and window; given up with a reason, or missed by the clock."""
    number = str(desk("engineer").submit("P2")["id"])
    approve(desk, number)
    for start in ("2026-10-06T02:00Z", "2026-10-08T02:30Z"):
        desk("devops").post(f"/changes/{number}/schedule", {"start": start})
    desk("devops").post(f"/changes/{number}/unschedule", {"reason": "Search is not ready"})
    desk("engineer").post(f"/changes/{number}/schedule", {"start": "2026-10-06T02:00Z"})
    at("2026-10-06T04:00Z")
    tick()
    tuesday = {"start": "2026-10-06 02:00 UTC", "end": "2026-10-06 02:45 UTC"}
    thursday = {"start": "2026-10-08 02:30 UTC", "end": "2026-10-08 03:15 UTC"}
    booked = {"from": "approved", "to": "scheduled", "window": "Primary", **tuesday}
    moved = {"from": "scheduled", "to": "scheduled", "window": "Secondary", **thursday}
    ended = {"from": "scheduled", "to": "approved", "slot": "2026-10-08 02:30 UTC"}
    *by_hand, (action, actor, missed) = trail(desk, number, after="change.approve")[:5]
    assert by_hand == [
        ("change.schedule", "devops", booked),
        ("change.reschedule", "devops", moved),
        ("change.unschedule", "devops", ended | {"reason": "Search is not ready"}),
        ("change.schedule", "engineer", booked),
    ]
    assert (action, actor) == ("change.unschedule", None)
    assert missed.pop("reason").startswith("Its slot passed unused")
    assert missed == ended | {"slot": "2026-10-06 02:00 UTC", "kind": "missed"}


def test_a_booking_over_a_conflict_at_short_notice_says_both_reasons(desk: Sit, at: Any) -> None:
    """A12, A27, R148: the reasons that people gave, and what was overridden."""
    first, second = (str(desk("engineer").submit("P2")["id"]) for _ in range(2))
    for number in (first, second):
        approve(desk, number)
    desk("engineer").post(f"/changes/{first}/schedule", {"start": "2026-10-06T02:00Z"})
    at("2026-10-05T09:00Z")
    body = {"short_notice_reason": "The sale", "override_reason": "Other shards"}
    start = {"start": "2026-10-06T02:00Z"}
    desk("change-manager").post(f"/changes/{second}/schedule", start | body)
    said = {
        "from": "approved",
        "to": "scheduled",
        "start": "2026-10-06 02:00 UTC",
        "end": "2026-10-06 02:45 UTC",
        "window": "Primary",
        "short_notice_reason": "The sale",
        "override_reason": "Other shards",
        "overridden": ["same_component"],
    }
    assert trail(desk, second)[-1] == ("change.schedule", "change-manager", said)


def test_an_approval_that_lapsed_says_so(desk: Sit, at: Any) -> None:
    """R148, A7: the clock's doing, with its reason."""
    number = str(desk("engineer").submit("P2")["id"])
    approve(desk, number)
    at("2027-03-01T09:00Z")
    tick()
    action, actor, said = trail(desk, number)[-1]
    assert (action, actor, said.pop("reason", "")[:12]) == ("change.lapse", None, "The approval")
    assert said == {"from": "approved", "to": "changes_requested"}


def test_what_was_refused_leaves_no_event_of_the_verb(desk: Sit) -> None:
    """R148, promise 4: whatever lacks its comment, item, reason or heir changes nothing."""
    engineer = desk("engineer")
    number = str(engineer.submit("P2")["id"])
    before = len(trail(desk, number))
    desk("tech-lead").decide(number, "technical", "reject", expect=422)
    desk("tech-lead").decide(number, "technical", checklist={}, expect=422)
    engineer.post(f"/changes/{number}/cancel", {"reason": " "}, expect=422)
    engineer.post(f"/changes/{number}/escalate", DOWN | {"reason": ""}, expect=422)
    engineer.post(f"/changes/{number}/transfer", {"requester": "auditor"}, expect=422)
    assert len(trail(desk, number)) == before
