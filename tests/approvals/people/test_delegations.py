"""Delegation: while somebody is away, another decides in their name (issue 3 item 4, F36, promise
1).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import IntegrityError, connection, transaction
from django.test import Client

from accounts.models import Delegation, User
from accounts.roles import Role
from approvals.models import Decision, Step
from approvals.people import who_decides
from audit.models import Event
from notifications.models import Message
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]


def lend(
    giver: str, receiver: str, start: str = "2026-10-01T00:00Z", end: str = "2026-10-31T00:00Z"
) -> Delegation:
    """As `delegations.delegate` stores it."""
    people = {name: User.objects.get(username=name) for name in (giver, receiver)}
    times = [datetime.fromisoformat(at.replace("Z", "+00:00")) for at in (start, end)]
    return Delegation.objects.create(
        giver=people[giver], receiver=people[receiver], starts_at=times[0], ends_at=times[1]
    )


def fresh(username: str) -> Desk:
    """Somebody as their next click finds them."""
    return Desk(User.objects.get(username=username))


@pytest.fixture(autouse=True)
def october(at: Any) -> None:
    at("2026-10-01T09:00Z")


def test_a_delegate_decides_in_the_others_name(desk: Sit) -> None:
    """Issue 3 item 4: shown as “B for A” in steps, page, timeline, mail; the roles are A's; B sees
    it in the queue.
    """
    lend("tech-lead", "devops2")
    number = str(desk("engineer").submit("P2")["id"])
    assert Message.objects.filter(
        kind="approval_waiting", recipient__username="devops2"
    ).exists(), "who stands in is asked too"
    assert [item["change"] for item in fresh("devops2").get("/approvals")["items"]] == [number]
    page = Client()
    page.force_login(User.objects.get(username="devops2"))
    assert (
        "Technical review for Grace Lindqvist" in page.get(f"/changes/{number}/").content.decode()
    )
    assert "You decide for <b>Grace Lindqvist</b>" in page.get("/approvals/").content.decode()
    fresh("devops2").decide(number, "technical")
    decision = Decision.objects.get()
    assert (decision.actor.username, decision.principal.username, decision.role) == (
        "devops2",
        "tech-lead",
        "tech-lead",
    )
    told = next(s for s in desk("auditor").steps(number) if s["kind"] == "technical")["decisions"][
        0
    ]
    assert (told["by"], told["for"]) == ("devops2", "tech-lead")
    html = page.get(f"/changes/{number}/").content.decode()
    assert "Yuki Tanaka for Grace Lindqvist, Tech lead: approved" in html
    assert "approved the technical review, for Grace Lindqvist" in html
    assert "by telephone" not in html
    mail = Message.objects.filter(kind="decision").latest("id")
    assert "Yuki Tanaka for Grace Lindqvist approved" in mail.subject
    event = Event.objects.get(action="approval.decide")
    assert (event.data["on_behalf_of"], event.data["delegation"]) == (
        decision.principal.pk,
        decision.delegation_id,
    )


def test_it_stops_when_it_is_over_or_taken_back(desk: Sit, at: Any) -> None:
    """Expired, not begun, revoked, giver deactivated, giver's role gone: refused at the
    next click.
    """
    number = str(desk("engineer").submit("P2")["id"])
    early = lend("tech-lead", "devops2", "2026-10-02T00:00Z", "2026-10-05T00:00Z")
    fresh("devops2").decide(number, "technical", expect=403)
    at("2026-10-05T00:00Z")
    fresh("devops2").decide(number, "technical", expect=403)
    at("2026-10-03T00:00Z")
    client = Client()
    client.force_login(User.objects.get(username="devops2"))
    assert "Technical review for" in client.get(f"/changes/{number}/").content.decode()
    for who in ("engineer", "cto"):
        stranger = Client()
        stranger.force_login(User.objects.get(username=who))
        assert stranger.post("/settings/delegations/", {"end": early.pk}).status_code == 403
    giver = Client()
    giver.force_login(User.objects.get(username="tech-lead"))
    assert giver.post("/settings/delegations/", {"end": early.pk}).status_code == 302
    fresh("devops2").decide(number, "technical", expect=403)
    assert "Technical review for" not in client.get(f"/changes/{number}/").content.decode()
    assert giver.post("/settings/delegations/", {"end": early.pk}).status_code == 409
    lend("tech-lead", "devops2", "2026-10-02T00:00Z", "2026-10-05T00:00Z")
    lead = User.objects.get(username="tech-lead")
    lead.groups.clear()
    fresh("devops2").decide(number, "technical", expect=403)
    lead.groups.add(Group.objects.get(name="tech-lead"))
    User.objects.filter(pk=lead.pk).update(is_active=False)
    fresh("devops2").decide(number, "technical", expect=403)


def test_neither_giver_nor_receiver_may_be_an_author(desk: Sit) -> None:
    """Promise 1: nobody approves their own change through another, nor another's change that they
    wrote in.
    """
    lend("tech-lead", "devops2")
    own = str(fresh("devops2").submit("P2")["id"])
    assert fresh("devops2").decide(own, "technical", expect=403)["code"] == "own_change"
    givers = str(fresh("tech-lead").submit("P2")["id"])
    assert fresh("devops2").decide(givers, "technical", expect=403)["code"] == "own_change"
    assert givers not in [item["change"] for item in fresh("devops2").get("/approvals")["items"]]
    assert not Message.objects.filter(
        kind="approval_waiting", recipient__username="devops2", change_id__isnull=False
    ).exists()


def test_giver_and_receiver_count_once_in_a_stage(desk: Sit) -> None:
    """F36: whoever of the two decided first, the other does not count in that stage; in the next
    stage they may.
    """
    lend("eng-manager", "devops-lead")
    number = str(desk("engineer").submit("P2")["id"])
    desk("tech-lead").decide(number, "technical")
    desk("product-manager").decide(number, "business")
    fresh("devops-lead").decide(number, "sign_off")
    second = fresh("devops-lead").decide(number, "sign_off", expect=409)
    assert second["code"] == "decided", (
        "the lead signed for themselves, and cannot sign for the manager too"
    )
    assert number not in [
        item["change"] for item in fresh("devops-lead").get("/approvals")["items"]
    ]
    fresh("eng-manager").decide(number, "sign_off")
    other = str(desk("engineer").submit("P2")["id"])
    lend("tech-lead", "devops2")
    fresh("devops2").decide(other, "technical")
    assert fresh("tech-lead").decide(other, "technical", expect=409)["code"] in (
        "settled",
        "decided",
    )


def test_whoever_stood_in_for_the_only_approver_does_not_start_it(desk: Sit, at: Any) -> None:
    """A2: whoever starts a change may not have been the only approver of its last stage, by their
    own right or another's.
    """
    lend("senior-devops", "oncall")
    number = str(
        desk("engineer").submit("P3", requested_window={"start": "2026-10-06T02:00Z"})["id"]
    )
    desk("tech-lead").decide(number, "technical")
    User.objects.get(username="oncall").groups.remove(Group.objects.get(name="devops-engineer"))
    fresh("oncall").decide(number, "sign_off")
    assert Decision.objects.latest("id").principal.username == "senior-devops"
    User.objects.get(username="oncall").groups.add(Group.objects.get(name="devops-engineer"))
    at("2026-10-06T02:00Z")
    fresh("devops").tick_off(number, "pre")
    assert fresh("oncall").post(f"/changes/{number}/start", expect=403)["code"] == "only_approver"
    assert fresh("devops").post(f"/changes/{number}/start")["state"] == "implementing"


def test_it_is_never_passed_on(desk: Sit) -> None:
    """One step deep: what was lent to B is not B's to lend; an emergency contact's is worth what
    their duty is worth.
    """
    lend("tech-lead", "product-manager")
    lend("product-manager", "devops2")
    number = str(desk("engineer").submit("P2")["id"])
    assert fresh("devops2").decide(number, "technical", expect=403)["code"] == "not_yours"
    fresh("devops2").decide(number, "business")


def test_what_cannot_be_is_refused_at_its_field(desk: Sit) -> None:
    """Bad input: a clear error that names the field; nothing typed is lost."""
    lead = Client()
    lead.force_login(User.objects.get(username="tech-lead"))
    good = {
        "receiver": "devops2",
        "starts_at": "2026-10-02T08:00Z",
        "ends_at": "2026-10-12T08:00Z",
        "reason": "Holidays",
    }
    for wrong, says in (
        ({"receiver": "tech-lead"}, "choose somebody else"), ({"receiver": "manager"}, "only read"),
        ({"receiver": "auditor"}, "only read"),
        ({"receiver": "nobody"}, "choose somebody who may decide"),
        ({"receiver": "a\x00b"}, "choose somebody who may decide"),
        ({"ends_at": "2026-10-01T08:00Z"}, "give a later instant"),
        ({"ends_at": "2027-10-01T08:00Z"}, "at most 90 days"),
        ({"starts_at": "2026-09-01T08:00Z"}, "never given backwards"),
        ({"ends_at": "soon"}, "Write the instant"), ({"reason": "x" * 201}, "at most 200"),
    ):  # fmt: skip
        answer = lead.post("/settings/delegations/", good | wrong)
        page = answer.content.decode()
        assert (answer.status_code, says in page) == (422, True), (wrong, says)
        assert (good | wrong)["starts_at"] in page
    assert lead.post("/settings/delegations/", good).status_code == 302
    assert (
        "delegated for part of that time"
        in lead.post("/settings/delegations/", good | {"receiver": "devops"}).content.decode()
    )
    assert Message.objects.filter(kind="delegation_given").count() == 2, "both are told"
    away = Client()
    away.force_login(User.objects.get(username="product-manager"))
    assert (
        "is away then"
        in away.post("/settings/delegations/", good | {"receiver": "tech-lead"}).content.decode()
    )
    reader = Client()
    reader.force_login(User.objects.get(username="manager"))
    assert reader.post("/settings/delegations/", good).status_code == 403


def test_the_database_agrees() -> None:
    """Raw rows: to oneself, two at a time, ending before it starts, a decision by delegation in
    nobody's name.
    """
    lend("tech-lead", "devops2")
    for giver, receiver, start, end in (
        ("devops", "devops", "2026-10-01T00:00Z", "2026-10-02T00:00Z"),
        ("tech-lead", "devops", "2026-10-05T00:00Z", "2026-10-06T00:00Z"),
        ("devops", "devops2", "2026-10-05T00:00Z", "2026-10-04T00:00Z"),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            lend(giver, receiver, start, end)


def test_a_delegate_sees_confidential_changes_that_wait_for_the_giver(desk: Sit) -> None:
    """Promise 6: who decides may see; when the delegation ends, it is absent again."""
    number = str(desk("security").submit("P2", confidential=True)["id"])
    fresh("devops2").get(f"/changes/{number}", expect=404)
    delegation = lend("tech-lead", "devops2")
    fresh("devops2").get(f"/changes/{number}")
    fresh("devops2").decide(number, "technical")
    Delegation.objects.filter(pk=delegation.pk).update(
        revoked_at=datetime(2026, 10, 1, 8, tzinfo=UTC)
    )
    fresh("devops2").get(f"/changes/{number}", expect=404)


@pytest.mark.parametrize("seed", range(20))
def test_in_random_graphs_queue_and_rule_agree_and_nobody_counts_twice(
    desk: Sit, seed: int
) -> None:
    """F36: random roles, authors, delegations (loops and chains among them) and verdicts: the queue
    is exactly what the rule allows, every decision is by people who held or were lent the role
    directly, none of them an author, all of a stage distinct.
    """
    rnd = random.Random(seed)
    people = list(
        User.objects.filter(
            username__in=[
                "engineer",
                "devops",
                "devops2",
                "tech-lead",
                "product-manager",
                "eng-manager",
                "devops-lead",
                "senior-devops",
            ]
        )
    )
    deciding = [
        Role.SENIOR_DEVOPS_ENGINEER,
        Role.TECH_LEAD,
        Role.PRODUCT_MANAGER,
        Role.ENGINEERING_MANAGER,
        Role.DEVOPS_LEAD,
        Role.SECURITY_ENGINEER,
    ]
    for person in people:
        person.groups.add(*Group.objects.filter(name__in=rnd.sample(deciding, rnd.randint(0, 2))))
    for giver in rnd.sample(people, 5):
        lend(giver.username, rnd.choice([person for person in people if person != giver]).username)
    numbers = []
    for _ in range(2):
        author, editor = rnd.sample(people, 2)
        number = str(Desk(author).create("P2", affects_authentication=rnd.random() < 0.5)["id"])
        if editor.has_role(Role.CHANGE_MANAGER):
            Desk(editor).patch(f"/changes/{number}", {"version": 1, "summary": "Edited"})
        Desk(author).post(f"/changes/{number}/submit")
        numbers.append(number)
    for _ in range(40):
        user = User.objects.get(pk=rnd.choice(people).pk)
        steps = Step.objects.filter(change__number__in=numbers, state="open").prefetch_related(
            "decisions__actor", "decisions__on_behalf_of"
        )
        allowed = {
            step.pk
            for step in steps
            if who_decides.best_capacity(
                step,
                user,
                who_decides.capacities_of(user),
                authors=who_decides.authors_of(step.change),
                decided=who_decides.decided_in_stage(step),
            )[0]
        }
        assert set(who_decides.waiting_for(user).values_list("pk", flat=True)) == allowed
        if allowed:
            step = Step.objects.select_related("change").get(pk=rnd.choice(sorted(allowed)))
            body = {
                "verdict": "approve",
                "version": step.change.version,
                "checklist": {item["key"]: True for item in step.checklist},
            }
            Desk(user).post(f"/changes/{step.change.number}/steps/{step.pk}/decision", body)
    for decision in Decision.objects.select_related("step"):
        authors = who_decides.authors_of(decision.change)
        assert not decision.people & authors
        assert decision.role in {group.name for group in decision.principal.groups.all()}, (
            "the role is the principal's own, never lent"
        )
        if decision.delegation_id:
            assert (decision.delegation.giver_id, decision.delegation.receiver_id) == (
                decision.principal_id,
                decision.actor_id,
            )
        beside = Decision.objects.filter(
            change=decision.change, stage=decision.stage, round=decision.round
        ).exclude(pk=decision.pk)
        assert not any(decision.people & other.people for other in beside)


def test_raw_sql_cannot_decide_for_an_author(desk: Sit) -> None:
    """Promise 1, three nets: the trigger refuses a delegated decision of which either person is an
    author.
    """
    delegation = lend("engineer", "devops2")
    number = str(desk("engineer").submit("P2")["id"])
    step = Step.objects.filter(change__number=number).first()
    assert step is not None
    with (
        pytest.raises(IntegrityError, match="does not decide on it"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(
            "INSERT INTO approvals_decision (step_id, change_id, round, stage, deferred, actor_id,"
            " on_behalf_of_id, delegation_id, role, roles_held, verdict, comment, checklist,"
            " content_hash, at) VALUES (%s, %s, 1, 1, false, %s, %s, %s, 'tech-lead',"
            " '{tech-lead}', 'approve', '', '{}', 'x', now())",
            [step.pk, step.change_id, delegation.receiver_id, delegation.giver_id, delegation.pk],
        )
    assert timedelta(0) < delegation.ends_at - delegation.starts_at
