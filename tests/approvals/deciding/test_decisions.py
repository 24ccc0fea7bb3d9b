"""Who decides, what binds, what voids (A2-A4, A16; promises 1 and 3)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import Error, transaction

from accounts.models import Duty, User
from approvals.models import Decision, Step
from notifications.models import Message
from requests.models import ChangeRequest
from tests.world import FULL, Desk, html_of

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]


@pytest.fixture(autouse=True)
def october(at: Any) -> None:
    at("2026-10-01T09:00Z")


def give(username: str, *roles: str) -> None:
    User.objects.get(username=username).groups.add(*Group.objects.filter(name__in=roles))


def kinds(desk: Desk, number: str) -> list[tuple[int, str, str]]:
    return [(s["stage"], s["kind"], s["state"]) for s in desk.steps(number)]


@pytest.mark.parametrize(
    ("priority", "more", "expected"),
    [
        ("P1", {}, [(1, "technical"), (1, "business"), (2, "sign_off")]),
        ("P2", {}, [(1, "technical"), (1, "business"), (2, "sign_off")]),
        (
            "P2",
            {"affects_network": True},
            [(1, "technical"), (1, "security"), (1, "business"), (2, "sign_off")],
        ),
        (
            "P2",
            {"components": ["payments"]},
            [(1, "technical"), (1, "security"), (1, "business"), (2, "sign_off")],
        ),
        ("P3", {}, [(1, "technical"), (2, "sign_off")]),
        (
            "P3",
            {"downtime_required": True, "downtime_minutes": 5},
            [(1, "technical"), (1, "business"), (2, "sign_off")],
        ),
        ("P3", {"users_affected": True}, [(1, "technical"), (1, "business"), (2, "sign_off")]),
        ("P0", {"affects_authentication": True}, [(1, "emergency")]),
    ],
)
def test_the_policy_asks_whom_the_process_names(
    desk: Sit, priority: str, more: dict[str, Any], expected: list[tuple[int, str]]
) -> None:
    """R3, R7, R11, R37, R43, R44, R49, A2, A16."""
    number = desk("engineer").submit(priority, **more)["id"]
    assert [(stage, kind) for stage, kind, _ in kinds(desk("engineer"), number)] == expected


@pytest.mark.parametrize(
    "answer",
    ["affects_authentication", "affects_authorization", "affects_data_access", "affects_network"],
)
def test_each_security_trigger_asks_for_the_review(desk: Sit, answer: str) -> None:
    """R44: authentication, authorization, data access, network configuration."""
    number = desk("engineer").submit("P3", **{answer: True})["id"]
    assert "security" in [kind for _, kind, _ in kinds(desk("engineer"), number)]


def test_checklists_bind(desk: Sit) -> None:
    """A4: every item ticked, or marked not applicable with a note; four noes are confirmed by an
    item of their own.
    """
    number = desk("engineer").submit("P2")["id"]
    lead = desk("tech-lead")
    answer = lead.decide(
        number, "technical", checklist={"T1": True, "T3": {"not_applicable": "  "}}, expect=422
    )
    assert {e["field"] for e in answer["errors"]} == {
        f"checklist.{key}" for key in ("T2", "T3", "T4", "T5", "T6")
    }
    ticks = dict.fromkeys(("T1", "T2", "T4", "T5", "T6"), True) | {
        "T3": {"not_applicable": "Configuration only"}
    }
    assert lead.decide(number, "technical", checklist=ticks)["state"] == "approved"


def test_t2_needs_evidence(desk: Sit) -> None:
    """R39, R146, A19: feasible and tested cannot be ticked without what, where and when."""
    number = desk("engineer").submit("P3", rollback_tested=None)["id"]
    answer = desk("senior-devops").decide(number, "technical", expect=422)
    assert [e["field"] for e in answer["errors"]] == ["checklist.T2"]


@pytest.mark.parametrize("verdict", ["reject", "request_changes"])
def test_no_without_a_comment_is_refused(desk: Sit, verdict: str) -> None:
    number = desk("engineer").submit("P2")["id"]
    assert (
        desk("tech-lead").decide(number, "technical", verdict, expect=422)["errors"][0]["field"]
        == "comment"
    )
    desk("tech-lead").decide(number, "technical", verdict, comment="The plan stops half-way.")
    state = desk("engineer").get(f"/changes/{number}")["state"]
    assert state == ("rejected" if verdict == "reject" else "changes_requested")


def test_changes_requested_and_answered_is_a_new_round(desk: Sit) -> None:
    engineer = desk("engineer")
    number = engineer.submit("P2")["id"]
    desk("product-manager").decide(number, "business")
    desk("tech-lead").decide(number, "technical", "request_changes", comment="Say how long.")
    change = engineer.get(f"/changes/{number}")
    engineer.patch(
        f"/changes/{number}",
        {"version": change["version"], "rollback_plan": "Two minutes: redeploy"},
    )
    engineer.post(f"/changes/{number}/submit")
    assert [s["state"] for s in engineer.steps(number) if s["round"] == 2] == [
        "open",
        "open",
        "waiting",
    ]
    assert {s["state"] for s in engineer.steps(number) if s["round"] == 1} <= {
        "stale",
        "approved",
        "changes_requested",
    }


def test_requester_and_editors_never_decide(desk: Sit) -> None:
    """Promise 1, F35: not by a second role, not as superuser, not by raw SQL, not after handing the
    change on.
    """
    give("engineer", "tech-lead", "product-manager", "devops-lead", "cto")
    give("change-manager", "tech-lead")
    User.objects.filter(username="engineer").update(is_superuser=True)
    engineer, manager = desk("engineer"), desk("change-manager")
    number = engineer.submit("P2")["id"]
    assert engineer.decide(number, "technical", expect=403)["reasons"][0]["code"] == "own_change"
    change = engineer.get(f"/changes/{number}")
    manager.patch(
        f"/changes/{number}", {"version": change["version"], "testing_plan": "Look twice"}
    )
    assert manager.decide(number, "technical", expect=403)["reasons"][0]["code"] == "own_change"
    engineer.post(f"/changes/{number}/transfer", {"requester": "engineer2"})
    engineer.user = User.objects.get(username="engineer")
    assert engineer.decide(number, "technical", expect=403)["reasons"][0]["code"] == "own_change"
    step = Step.objects.filter(change__number=number, kind="technical", state="open").get()
    for username in ("engineer", "engineer2", "change-manager"):
        with pytest.raises(Error, match="does not decide"), transaction.atomic():
            Decision.objects.bulk_create([
                Decision(step=step, change=step.change, round=step.round, stage=1,
                    actor=User.objects.get(username=username), role="tech-lead",
                         roles_held=["tech-lead"], verdict="approve", content_hash="x")
            ])  # fmt: skip


def test_being_superuser_is_no_role(desk: Sit) -> None:
    User.objects.filter(username="engineer2").update(is_superuser=True)
    number = desk("engineer").submit("P2")["id"]
    desk("engineer2").decide(number, "technical", expect=403)


def test_sign_off_takes_two_people_in_any_order(desk: Sit) -> None:
    """R7, A2: engineering manager AND DevOps lead, two different people, matched one to one."""
    give("eng-manager", "devops-lead")
    number = desk("engineer").submit("P1")["id"]
    desk("tech-lead").decide(number, "technical")
    desk("product-manager").decide(number, "business")
    assert desk("eng-manager").decide(number, "sign_off")["state"] == "open"
    assert (
        desk("eng-manager").decide(number, "sign_off", expect=409)["reasons"][0]["code"]
        == "decided"
    )
    assert desk("devops-lead").decide(number, "sign_off")["state"] == "approved"
    assert desk("engineer").get(f"/changes/{number}")["state"] == "approved"


def test_one_person_may_act_in_both_stages_never_twice_in_one(desk: Sit) -> None:
    give("eng-manager", "senior-devops-engineer")
    number = desk("engineer").submit("P2")["id"]
    desk("eng-manager").decide(number, "business")
    assert (
        desk("eng-manager").decide(number, "technical", expect=409)["reasons"][0]["code"]
        == "decided"
    )
    desk("tech-lead").decide(number, "technical")
    assert desk("eng-manager").decide(number, "sign_off")["state"] == "open"


def test_the_emergency_contact_decides_only_on_duty(desk: Sit) -> None:
    """R3, A3: the CTO, or the emergency contact while on duty."""
    Duty.objects.filter(user__username="emergency-contact").update(ends_at="2026-09-01T00:00Z")
    number = desk("oncall").submit("P0")["id"]
    desk("emergency-contact").decide(number, "emergency", expect=403)
    assert desk("emergency-contact").get("/approvals")["items"] == []
    desk("cto").decide(number, "emergency")
    assert desk("oncall").get(f"/changes/{number}")["state"] == "approved"


def test_a_decision_is_bound_to_the_content_that_was_seen(desk: Sit) -> None:
    """F21: approving a stale page is 412."""
    engineer = desk("engineer")
    change = engineer.submit("P2")
    engineer.patch(f"/changes/{change['id']}", {"version": change["version"], "reason": "Another"})
    answer = desk("tech-lead").decide(
        change["id"], "technical", version=change["version"], expect=412
    )
    assert answer["code"] == "stale"
    assert Decision.objects.count() == 0


def test_the_second_click_is_told_who_was_first(desk: Sit) -> None:
    """Promise 3."""
    number = desk("engineer").submit("P2")["id"]
    desk("tech-lead").decide(number, "technical")
    answer = desk("senior-devops").decide(number, "technical", expect=409)
    assert answer["detail"].startswith(
        "Grace Lindqvist was first and approved this step at 09:00 UTC."
    )


def test_a_review_asked_for_by_a_component_can_be_waived_with_a_reason(desk: Sit) -> None:
    """A16: a yes cannot be waived, only decided."""
    by_component = desk("engineer").submit("P2", components=["payments"])["id"]
    assert (
        desk("security").decide(by_component, "security", "waive", expect=422)["errors"][0]["field"]
        == "comment"
    )
    assert (
        desk("security").decide(by_component, "security", "waive", comment="Texts only.")["state"]
        == "waived"
    )
    by_answer = desk("engineer").submit("P2", affects_network=True)["id"]
    desk("security").decide(by_answer, "security", "waive", comment="No need.", expect=409)


def test_a_token_cannot_decide(desk: Sit) -> None:
    """F58: decisions need a person's session."""
    from accounts.models import ApiToken

    number = desk("engineer").submit("P2")["id"]
    _, secret = ApiToken.make(user=User.objects.get(username="tech-lead"), name="t", scope="write")
    step = Step.objects.filter(change__number=number, kind="technical").get()
    from django.test import Client

    answer = Client().post(
        f"/api/v1/changes/{number}/steps/{step.pk}/decision", {"verdict": "approve", "version": 1},
        content_type="application/json",
        headers={"Authorization": f"Bearer {secret}"},
    )  # fmt: skip
    assert answer.status_code == 403


def test_a_revoked_role_stops_at_the_next_click(desk: Sit) -> None:
    """F39."""
    number = desk("engineer").submit("P2")["id"]
    User.objects.get(username="tech-lead").groups.clear()
    desk("tech-lead").decide(number, "technical", expect=403)


def test_an_edit_that_would_leave_a_hole_is_refused_in_review(desk: Sit) -> None:
    engineer = desk("engineer")
    change = engineer.submit("P2")
    answer = engineer.patch(
        f"/changes/{change['id']}", {"version": change["version"], "rollback_plan": ""}, expect=422
    )
    assert [e["field"] for e in answer["errors"]] == ["rollback_plan"]
    assert engineer.get(f"/changes/{change['id']}") == change


def test_escalating_keeps_the_number_and_counts_verdicts_as_deferred_reviews(desk: Sit) -> None:
    """A2, domain.md: a P0 under the same number; reviews given while the content stands need not be
    given again.
    """
    engineer = desk("engineer")
    number = engineer.submit("P1")["id"]
    desk("product-manager").decide(number, "business")
    change = engineer.post(
        f"/changes/{number}/escalate",
        {"reason": "It is down", "emergency_kind": "outage", "emergency_reference": "INC-7"},
    )
    assert (change["id"], change["priority"], change["state"]) == (number, "P0", "in_review")
    desk("cto").decide(number, "emergency")
    oncall = desk("oncall")
    oncall.post(f"/changes/{number}/start")
    oncall.post(f"/changes/{number}/fail", {"reason": "No way"})
    deferred = [s["kind"] for s in engineer.steps(number) if s["deferred"]]
    assert deferred == ["technical"]


def test_what_waits_for_me_is_what_i_can_decide(desk: Sit) -> None:
    """The queue lists a step exactly when deciding it is allowed, for every person."""
    numbers = [
        desk("engineer").submit(p, **m)["id"]
        for p, m in (("P1", {}), ("P2", {"affects_network": True}), ("P3", {}), ("P0", {}))
    ]
    desk("product-manager").decide(numbers[0], "business")
    desk("tech-lead").decide(numbers[0], "technical")
    desk("devops-lead").decide(numbers[0], "sign_off")
    for user in User.objects.all():
        sitting = desk(user.username)
        waiting = {item["id"] for item in sitting.get("/approvals")["items"]}
        for number in numbers:
            allowed = {
                a["name"]: a["allowed"] for a in sitting.get(f"/changes/{number}/actions")["items"]
            }
            mine = {s["id"] for s in sitting.steps(number)} & waiting
            assert allowed["approve"] == bool(mine), (user.username, number)
    assert ChangeRequest.objects.count() == 4


def test_an_emergencys_rollback_is_not_called_tested_without_evidence(desk: Sit) -> None:
    """A19: a P0 supplies the evidence afterwards; its deferred technical review ticks T2
    only then.
    """
    number = str(desk("engineer").submit("P0", rollback_tested=None)["id"])
    desk("cto").decide(number, "emergency")
    desk("oncall").post(f"/changes/{number}/start")
    desk("oncall").post(f"/changes/{number}/fail", {"reason": "It did not help"})
    refusal = desk("tech-lead").decide(number, "technical", expect=422)
    assert [error["field"] for error in refusal["errors"]] == ["checklist.T2"]
    tested = {"what": "Set it back", "where": "staging", "when": "2026-10-01"}
    desk("oncall").put(f"/changes/{number}/documentation", {"rollback_tested": tested})
    assert (
        desk("auditor").get(f"/changes/{number}/documentation")["values"]["rollback_tested"]["what"]
        == "Set it back"
    )
    desk("tech-lead").decide(number, "technical")


def test_a_reviewer_sees_what_changed_since_their_last_verdict(desk: Sit) -> None:
    """Issue 3 item 6: the diff against what they saw, over several edits; what was undone in
    between is no change.
    """
    engineer = desk("engineer")
    number = str(engineer.submit("P2")["id"])
    desk("tech-lead").decide(
        number, "technical", "request_changes", comment="How long does it take?"
    )
    for values in (
        {"rollback_plan": "A draft"},
        {"rollback_plan": "Set the interval back (1 min)"},
        {"reason": "x"},
        {"reason": FULL["reason"]},
    ):
        engineer.patch(
            f"/changes/{number}",
            {"version": engineer.get(f"/changes/{number}")["version"], **values},
        )
    engineer.post(f"/changes/{number}/submit")
    client = desk("tech-lead").client
    client.force_login(desk("tech-lead").user)
    page = html_of(client.get(f"/changes/{number}/"))
    since = page[page.index('id="since"') : page.index('id="rv"')]
    assert "you requested changes round 1" in since
    assert "(1 min)" in since
    assert "A draft" not in since
    assert "<b>Reason</b>" not in since
    other = desk("senior-devops").client
    other.force_login(desk("senior-devops").user)
    assert 'id="since"' not in html_of(other.get(f"/changes/{number}/"))


def test_several_sign_offs_at_once_each_with_its_result(desk: Sit) -> None:
    """Issue 3 item 6: only where nothing is to be ticked; one that is refused (edited since, one's
    own, settled) holds up no other.
    """
    numbers = []
    for _ in range(4):
        number = str(desk("engineer").submit("P2")["id"])
        desk("tech-lead").decide(number, "technical")
        desk("product-manager").decide(number, "business")
        numbers.append(number)
    client = desk("devops-lead").client
    client.force_login(desk("devops-lead").user)
    page = html_of(client.get("/approvals/"))
    chosen = re.findall(r'name="step" value="(\d+~\d+)"', page)
    assert len(chosen) == 4
    desk("engineer").patch(f"/changes/{numbers[1]}", {"version": 1, "summary": "Edited meanwhile"})
    desk("eng-manager").decide(numbers[2], "sign_off", "reject", comment="Not this quarter")
    technical = str(desk("engineer").submit("P3")["id"])
    with_checklist = desk("engineer").steps(technical)[0]["id"]
    body = html_of(
        client.post(
            "/approvals/several", {"step": [*chosen, f"{with_checklist}~1", "x~y"]}, follow=True
        )
    )
    assert 'id="done"' not in html_of(client.get("/approvals/")), "the results are shown once"
    results = body[body.index('id="done"') : body.index('id="wait"')]
    assert [results.count(">Approved.<"), results.count(">Refused.<")] == [2, 4]
    assert "Nothing that you did was recorded" in results or "earlier round" in results
    given = [desk("auditor").get(f"/changes/{number}")["state"] for number in numbers]
    assert given == ["in_review", "in_review", "rejected", "in_review"]
    signed = [
        number
        for number in numbers
        for step in desk("auditor").steps(number)
        for d in step["decisions"]
        if d["by"] == "devops-lead"
    ]
    assert signed == [numbers[0], numbers[3]]
    assert "Nothing was chosen" in html_of(client.post("/approvals/several", {}, follow=True))


def test_a_reviewer_adds_a_security_review_and_security_may_waive_it(desk: Sit) -> None:
    """A16: any reviewer may add it, with a reason; the stage waits for it; a security engineer
    decides it, or waives it with a reason.
    """
    number = str(desk("engineer").submit("P2")["id"])

    def add(who: str, **values: str) -> int:
        client = desk(who).client
        client.force_login(desk(who).user)
        return int(
            client.post(
                f"/changes/{number}/act/add-security", {"reason": "It reads tokens"} | values
            ).status_code
        )

    assert [add(who) for who in ("engineer", "manager", "devops-lead", "cto")] == [
        403,
        403,
        403,
        403,
    ]
    assert add("tech-lead", reason=" ") == 422
    assert add("tech-lead") == 302
    assert add("product-manager") == 409
    added = next(step for step in desk("auditor").steps(number) if step["kind"] == "security")
    assert (added["state"], added["stage"]) == ("open", 1)
    assert Message.objects.filter(kind="approval_waiting", recipient__username="security").exists()
    desk("tech-lead").decide(number, "technical")
    desk("product-manager").decide(number, "business")
    assert desk("auditor").steps(number, "open")[0]["kind"] == "security", (
        "the sign-off waits for it"
    )
    desk("tech-lead").decide(number, "security", "waive", comment="No", expect=403)
    desk("security").decide(number, "security", "waive", expect=422)
    desk("security").decide(number, "security", "waive", comment="The tokens are fakes")
    assert [step["kind"] for step in desk("auditor").steps(number, "open")] == ["sign_off"]
    assert add("tech-lead") == 409, "the reviews are through"
    desk("engineer").patch(f"/changes/{number}", {"version": 1, "summary": "Another summary"})
    carried = next(
        step
        for step in desk("auditor").steps(number)
        if step["kind"] == "security" and step["round"] == 2
    )
    assert (carried["state"], carried["waivable"]) == (
        "open",
        True,
    ), "what a reviewer asked for holds for the next round, too"
    assert "asked for by Grace Lindqvist" in html_of(
        desk("auditor").client.get(f"/changes/{number}/")
    )
    authored = str(desk("tech-lead").submit("P2")["id"])
    client = desk("tech-lead").client
    assert client.post(f"/changes/{authored}/act/add-security", {"reason": "x"}).status_code == 403
