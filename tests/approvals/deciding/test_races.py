"""Two clicks at once: one verdict, the other told who was first (promise 3, F18, F19, F22, F25).
Real threads, real transactions.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import User
from approvals.models import Decision, Policy
from approvals.people import delegations
from approvals.policy_editor import drafts, publishing
from proposals import second_person
from proposals.models import Proposal
from requests.models import ChangeRequest
from tests.tries import tries
from tests.world import Desk

pytestmark = pytest.mark.django_db(transaction=True)
ROUNDS = tries(everyday=2, build=6, faults=200)


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """Run all of them behind one barrier, each on a connection of its own; what each returned or
    raised.
    """
    barrier, results = threading.Barrier(len(acts)), [None] * len(acts)

    def run(index: int, act: Callable[[], Any]) -> None:
        barrier.wait()
        try:
            results[index] = act()
        except BaseException as problem:
            results[index] = problem
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(index, act)) for index, act in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def sit(username: str) -> Desk:
    return Desk(User.objects.get(username=username))


def status(desk: Desk, act: Callable[[], Any]) -> Callable[[], int]:
    def run() -> int:
        act()
        return desk.status

    return run


def test_approve_against_reject(at: Any) -> None:
    """F18: exactly one final verdict for a step, every time."""
    at("2026-10-01T09:00Z")
    engineer, one, other = sit("engineer"), sit("tech-lead"), sit("senior-devops")
    for _ in range(ROUNDS):
        number = engineer.submit("P3")["id"]
        codes = at_once(
            status(one, lambda: one.decide(number, "technical", expect=None)),
            status(
                other,
                lambda: other.decide(number, "technical", "reject", comment="No", expect=None),
            ),
        )
        assert sorted(codes) == [200, 409], codes
        assert Decision.objects.filter(change__number=number).count() == 1


def test_two_sign_offs_at_once_are_never_stuck(at: Any) -> None:
    """F19: the quorum is counted under lock; both verdicts are kept and the change is approved."""
    at("2026-10-01T09:00Z")
    engineer, one, other = sit("engineer"), sit("eng-manager"), sit("devops-lead")
    for _ in range(ROUNDS):
        number = engineer.submit("P2")["id"]
        sit("tech-lead").decide(number, "technical")
        sit("product-manager").decide(number, "business")
        codes = at_once(
            status(one, lambda: one.decide(number, "sign_off", expect=None)),
            status(other, lambda: other.decide(number, "sign_off", expect=None)),
        )
        assert codes == [200, 200]
        assert ChangeRequest.objects.get(number=number).state == "approved"


def test_approve_against_edit(at: Any) -> None:
    """F21: never approved content that the approver did not see."""
    at("2026-10-01T09:00Z")
    engineer, lead = sit("engineer"), sit("tech-lead")
    for index in range(ROUNDS):
        change = engineer.submit("P3")
        number, version = change["id"], change["version"]
        at_once(
            lambda: lead.decide(number, "technical", version=version, expect=None),
            lambda: engineer.call(
                "PATCH",
                f"/changes/{number}",
                {"version": version, "reason": f"Another {index}"},
            ),
        )
        fresh = ChangeRequest.objects.get(number=number)
        counted = Decision.objects.filter(change=fresh, round=fresh.round)
        assert all(decision.content_hash == fresh.content_hash for decision in counted)


def approved(number: str) -> None:
    for who, kind in (
        ("tech-lead", "technical"),
        ("product-manager", "business"),
        ("eng-manager", "sign_off"),
        ("devops-lead", "sign_off"),
    ):
        sit(who).decide(number, kind)


def test_eight_bookers_of_one_slot(at: Any) -> None:
    """F25: one winner, the others told who; touching ends are no conflict."""
    at("2026-10-01T09:00Z")
    engineer = sit("engineer")
    numbers = [engineer.submit("P2", components=["cdn"])["id"] for _ in range(8)]
    for number in numbers:
        approved(number)
    desks = [sit("devops") for _ in numbers]
    codes = at_once(*[
        status(desk, lambda desk=desk, number=number: desk.post(f"/changes/{number}/schedule",
            {"start": "2026-10-06T02:00Z"}, expect=None))
        for desk, number in zip(desks, numbers, strict=True)
    ])  # fmt: skip
    assert sorted(codes) == [200] + [409] * 7
    winner = ChangeRequest.objects.get(state="scheduled")
    loser = next(number for number in numbers if number != winner.number)
    refusal = desks[0].post(
        f"/changes/{loser}/schedule", {"start": "2026-10-06T02:30Z"}, expect=409
    )
    assert winner.number in refusal["reasons"][0]["message"]
    desks[0].post(f"/changes/{loser}/schedule", {"start": "2026-10-06T02:45Z"})


def test_start_against_an_edit_that_voids_the_approval(at: Any) -> None:
    """F22: either it starts as approved, or the edit wins and the start is refused; never running
    and unapproved.
    """
    engineer, devops = sit("engineer"), sit("devops")
    for _ in range(3):
        at("2026-10-01T09:00Z")
        number = engineer.submit(
            "P2", components=["monitoring"], requested_window={"start": "2026-10-06T02:00Z"}
        )["id"]
        approved(number)
        at("2026-10-06T02:00Z")
        devops.tick_off(number, "pre")
        version = engineer.get(f"/changes/{number}")["version"]
        at_once(
            lambda: devops.post(f"/changes/{number}/start", expect=None),
            lambda: engineer.call(
                "PATCH",
                f"/changes/{number}",
                {"version": version, "reason": "Another"},
            ),
        )
        fresh = ChangeRequest.objects.get(number=number)
        assert fresh.state in {"implementing", "in_review"}
        if fresh.state == "implementing":
            assert fresh.approved_hash == fresh.content_hash
            devops.post(f"/changes/{number}/fail", {"reason": "Only a test"})
        else:
            engineer.post(f"/changes/{number}/cancel", {"reason": "Only a test"})


def test_twelve_identical_posts_are_one_change(at: Any) -> None:
    """F20."""
    at("2026-10-01T09:00Z")
    desks = [sit("engineer") for _ in range(12)]
    codes = at_once(*[
        status(desk, lambda desk=desk: desk.post("/changes", {"summary": "Once"}, expect=None,
            idempotency_key="same")) for desk in desks
    ])  # fmt: skip
    assert set(codes) <= {201, 409}
    assert codes.count(201) >= 1
    assert ChangeRequest.objects.filter(summary="Once").count() == 1


def test_a_delegation_that_ends_while_it_is_used(at: Any) -> None:
    """Item 4: it ends before the verdict or after it: then the verdict stands with its delegation,
    or there is none.
    """
    at("2026-10-01T09:00Z")
    giver, engineer, delegate = (
        User.objects.get(username="tech-lead"),
        sit("engineer"),
        sit("devops2"),
    )
    for index in range(ROUNDS):
        number = engineer.submit("P3")["id"]
        span = {"starts_at": timezone.now(), "ends_at": timezone.now() + timedelta(days=1)}
        made = delegations.delegate(actor=giver, receiver="devops2", **span)
        codes = at_once(
            status(delegate, lambda: delegate.decide(number, "technical", expect=None)),
            lambda: delegations.revoke(actor=giver, delegation=made),
        )
        assert codes[0] in (200, 403), codes
        assert not isinstance(codes[1], BaseException), codes
        given = Decision.objects.filter(change__number=number)
        assert given.count() == (codes[0] == 200)
        assert all(decision.delegation_id == made.pk for decision in given)
        at(f"2026-10-01T{10 + index}:00Z")
        delegate.user = User.objects.get(pk=delegate.user.pk)


def test_two_second_persons_make_one_version(at: Any) -> None:
    """A27: a proposal is confirmed once, however many press at once; of a confirmation and a
    withdrawal one wins.
    """
    at("2026-10-01T09:00Z")
    manager = User.objects.get(username="change-manager")
    for index in range(ROUNDS):
        draft = drafts.start(actor=manager, title=f"Draft {index}")
        roles = ["engineer", "devops-engineer", "devops-lead"][: index % 3 + 1] + [
            "product-manager"
        ] * (index % 2)
        draft = drafts.edit(
            actor=manager,
            key=draft.pk,
            revision=1,
            change=drafts.save_step(("P3", 2, 0), {"roles": roles}),
        )
        made = publishing.publish(
            actor=manager, key=draft.pk, revision=draft.revision, reason="To see who wins"
        )
        if not isinstance(made, Proposal):
            continue
        before, cto, lead = Policy.objects.count(), sit("cto"), sit("devops-lead")
        answers = at_once(
            status(cto, lambda: cto.post(f"/proposals/{made.pk}/confirm", expect=None)),
            status(lead, lambda: lead.post(f"/proposals/{made.pk}/confirm", expect=None)),
            lambda: second_person.withdraw(actor=manager, key=made.pk),
        )
        codes = [code for code in answers[:2] if code == 200]
        withdrawn = not isinstance(answers[2], BaseException)
        assert len(codes) + withdrawn == 1, answers
        assert Policy.objects.count() == before + len(codes)


def test_two_drafts_published_at_once_follow_one_another(at: Any) -> None:
    """The second was compared with a policy that no longer counts: refused, never a version that
    nobody looked at.
    """
    at("2026-10-01T09:00Z")
    manager = User.objects.get(username="change-manager")
    for index in range(ROUNDS):
        keys = []
        for kind in (0, 2):
            draft = drafts.start(actor=manager, title="Narrower")
            keys.append(
                drafts.edit(
                    actor=manager,
                    key=draft.pk,
                    revision=1,
                    change=drafts.save_step(("P2", 1, kind), {"due_hours": index + 1}),
                )
            )
        answers = at_once(*[
            lambda d=d: publishing.publish(actor=manager, key=d.pk, revision=d.revision,
                reason="Faster") for d in keys
        ])  # fmt: skip
        assert sorted(type(found).__name__ for found in answers) == ["Blocked", "Policy"], answers
