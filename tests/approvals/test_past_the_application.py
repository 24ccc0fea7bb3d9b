"""What plain SQL may not do is refused, and what it still can do is found within a tick and told
(X25, promise 1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import Error, connection, transaction

from accounts.models import User
from audit.models import Event
from audit.trail import verify
from changemgmt.tick import tick
from notifications.models import Message
from requests.models import ChangeRequest
from tests.implementation.road import Road
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]


@pytest.fixture(autouse=True)
def october(at: Any) -> None:
    at("2026-10-01T09:00Z")


def sql(text: str, *values: Any) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(text, values)


def in_review(desk: Sit, priority: str = "P2") -> ChangeRequest:
    return ChangeRequest.objects.get(number=desk("engineer").submit(priority)["id"])


@pytest.mark.parametrize(
    "text",
    [
        "DELETE FROM requests_author WHERE change_id = %s",
        (
            "UPDATE requests_author SET user_id = (SELECT id FROM accounts_user WHERE username ="
            " 'auditor') WHERE change_id = %s"
        ),
        "UPDATE approvals_step SET state = 'approved' WHERE change_id = %s AND stage = 1",
        "UPDATE approvals_step SET state = 'waived' WHERE change_id = %s AND stage = 1",
        (
            "UPDATE requests_changerequest SET state = 'approved', approved_at = now(),"
            " approved_hash = content_hash WHERE id = %s"
        ),
    ],
)
def test_the_database_refuses(desk: Sit, text: str) -> None:
    change = in_review(desk)
    with pytest.raises(Error):
        sql(text, change.pk)


def test_two_signatures_take_two_decisions(desk: Sit) -> None:
    """R7: with one of the two the step is not approved, whoever says so."""
    change = in_review(desk)
    desk("tech-lead").decide(change.number, "technical")
    desk("product-manager").decide(change.number, "business")
    desk("eng-manager").decide(change.number, "sign_off")
    with pytest.raises(Error):
        sql(
            "UPDATE approvals_step SET state = 'approved' WHERE change_id = %s AND kind ="
            " 'sign_off'",
            change.pk,
        )


@pytest.mark.parametrize(
    ("who", "passes"), [("tech-lead", True), ("engineer2", False), ("devops-lead", False)]
)
def test_a_decision_is_by_somebody_with_the_role(desk: Sit, who: str, passes: bool) -> None:
    change = in_review(desk)
    step = change.steps.get(kind="technical")
    values = [step.pk, change.pk, User.objects.get(username=who).pk, change.content_hash]
    insert = (
        "INSERT INTO approvals_decision (step_id, change_id, round, stage, deferred, actor_id,"
        " role, roles_held, verdict, comment, checklist, content_hash, at) VALUES (%s, %s, 1, 1,"
        " false, %s, 'tech-lead', '{tech-lead}', 'approve', '', '{}', %s, now())"
    )
    if passes:
        sql(insert, *values)
        return
    with pytest.raises(Error):
        sql(insert, *values)


def test_a_new_requester_is_an_author_and_the_old_one_stays(desk: Sit) -> None:
    change, heir = in_review(desk), User.objects.get(username="tech-lead")
    sql("UPDATE requests_changerequest SET requester_id = %s WHERE id = %s", heir.pk, change.pk)
    assert set(change.authors.values_list("user__username", flat=True)) == {"engineer", "tech-lead"}
    assert desk("tech-lead").decide(change.number, "technical", expect=403)["code"] == "own_change"


FAULTS = {
    "content": (
        "UPDATE requests_changerequest SET implementation_steps = 'Other' WHERE id = %s",
        "content was changed without an edit",
    ),
    "answers": (
        "UPDATE requests_changerequest SET risk_answers = '{\"data\": true}' WHERE id = %s",
        "content was changed without an edit",
    ),
    "state": ("UPDATE requests_changerequest SET state = 'cancelled' WHERE id = %s", None),
    "back": ("UPDATE requests_changerequest SET state = 'changes_requested' WHERE id = %s", None),
    "requester": (
        (
            "UPDATE requests_changerequest SET requester_id = (SELECT id FROM accounts_user WHERE"
            " username = 'tech-lead') WHERE id = %s"
        ),
        "requester was changed without a word",
    ),
}


@pytest.mark.parametrize("fault", ["content", "answers", "requester"])
def test_what_can_still_be_done_is_found_within_a_tick_and_told_once(desk: Sit, fault: str) -> None:
    change = in_review(desk)
    tick()
    assert not Event.objects.filter(action="integrity.fault").exists(), (
        "nothing is found where nothing was done"
    )
    text, said = FAULTS[fault]
    sql(text, change.pk)
    tick(), tick()
    found = Event.objects.filter(action="integrity.fault", change_id=change.pk)
    assert [said in event.data["found"] for event in found if said] == [True]
    told = Message.objects.filter(kind="integrity").values_list("recipient__username", flat=True)
    assert sorted(told) == ["auditor", "change-manager"]


def test_a_state_that_no_event_tells_of_is_found(desk: Sit) -> None:
    change = in_review(desk)
    for who, kind in (
        ("tech-lead", "technical"),
        ("product-manager", "business"),
        ("eng-manager", "sign_off"),
        ("devops-lead", "sign_off"),
    ):
        desk(who).decide(change.number, kind)
    sql("UPDATE requests_changerequest SET state = 'in_review' WHERE id = %s", change.pk)
    tick()
    found = Event.objects.get(action="integrity.fault")
    assert (
        "its state was changed without a word in the trail (it was approved)" in found.data["found"]
    )


def test_a_decision_in_no_event_is_found(desk: Sit) -> None:
    change = in_review(desk)
    step = change.steps.get(kind="technical")
    sql(
        "INSERT INTO approvals_decision (step_id, change_id, round, stage, deferred, actor_id,"
        " role, roles_held, verdict, comment, checklist, content_hash, at) VALUES (%s, %s, 1, 1,"
        " false, %s, 'tech-lead', '{tech-lead}', 'approve', '', '{}', %s, now())",
        step.pk,
        change.pk,
        User.objects.get(username="tech-lead").pk,
        change.content_hash,
    )
    tick()
    assert (
        Event.objects.get(action="integrity.fault").data["found"]
        == "a decision on it stands in no event"
    )


def test_the_head_of_the_trail_is_neither_deleted_nor_set_back(desk: Sit) -> None:
    """X25, F59: refused; and a head that is missing all the same is a fault, not a clean answer."""
    in_review(desk)
    sql("SET CONSTRAINTS ALL IMMEDIATE")  # as at a commit: the chain is sealed
    for text in (
        "DELETE FROM audit_head",
        "UPDATE audit_head SET position = 0, hash = ''",
        "TRUNCATE audit_head",
    ):
        with pytest.raises(Error):
            sql(text)
    with transaction.atomic():
        assert verify().ok
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")
            cursor.execute("DELETE FROM audit_head")
        assert verify().problem.startswith("the head is missing")
        transaction.set_rollback(True)


@pytest.mark.parametrize("heir", ["tech-lead", "devops-lead"])
def test_an_approval_by_whoever_is_made_its_requester_since_counts_no_more(
    desk: Sit, at: Any, heir: str
) -> None:
    """X25, promise 1: the start reads the approvals again, and who wrote; the gate says the
    same.
    """
    number = Road(desk, at).scheduled("P2")
    assert desk("devops").get(f"/gate/{number}")["allow"] is True
    person = User.objects.get(username=heir)
    sql("UPDATE requests_changerequest SET requester_id = %s WHERE number = %s", person.pk, number)
    gate = desk("devops").get(f"/gate/{number}")
    assert (gate["allow"], [reason["code"] for reason in gate["reasons"]]) == (
        False,
        ["not_approved"],
    )
    assert desk("devops").post(f"/changes/{number}/start", expect=409)["code"] == "not_approved"


def test_a_failed_check_that_its_requester_by_now_accepted_counts_no_more(
    desk: Sit, at: Any
) -> None:
    """X24, X25, A37: whoever accepted it is read again when the change is completed."""
    road = Road(desk, at)
    number = road.verifying("P2")
    check = desk("devops").post(
        f"/changes/{number}/checks", {"kind": "smoke", "name": "Smoke", "passed": False}, expect=201
    )
    desk("oncall").post(
        f"/changes/{number}/checks/{check['id']}/acceptance", {"reason": "A known flake"}
    )
    sql(
        "UPDATE requests_changerequest SET requester_id = %s WHERE number = %s",
        User.objects.get(username="oncall").pk,
        number,
    )
    refused = desk("devops").post(
        f"/changes/{number}/complete", {"reason": "Seen to work"}, expect=409
    )
    assert [reason["code"] for reason in refused["reasons"]] == ["check_failed"]
