"""Self-approval by every road (F35, promise 1): whoever requested a change or wrote on it decides
on nothing of it, however they try.

The person holds every deciding role and is a superuser; each road is shown to be open to somebody
else, so that no refusal is empty.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import get_resolver
from django.utils import timezone

from accounts.models import User
from approvals.models import Advance, Decision, Step
from approvals.people import delegations
from approvals.rounds.mail_links import path_for
from requests.models import ChangeRequest, Suggestion
from tests.world import TICKS, Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]
EVERY_ROLE = ["tech-lead", "senior-devops-engineer", "devops-lead", "devops-engineer",
    "engineering-manager", "product-manager", "security-engineer",
              "cto", "emergency-contact", "on-call-engineer", "change-manager"]  # fmt: skip


@pytest.fixture
def me(desk: Sit, at: Any) -> Desk:
    """Somebody with every role, and root besides."""
    at("2026-10-01T09:00Z")
    user = User.objects.get(username="engineer2")
    user.groups.set(Group.objects.filter(name__in=EVERY_ROLE))
    User.objects.filter(pk=user.pk).update(is_superuser=True, is_staff=True)
    return Desk(User.objects.get(pk=user.pk))


def browser(desk: Desk) -> Client:
    client = Client()
    client.force_login(User.objects.get(pk=desk.user.pk))
    return client


def step(number: str, kind: str = "technical") -> Step:
    return Step.objects.filter(change__number=number, kind=kind).latest("round")


def form(kind: str = "technical", **more: str) -> dict[str, str]:
    return {
        "verdict": "approve",
        "version": "1",
        **{f"tick_{key}": "on" for key in TICKS[kind]},
        **more,
    }


Try = Callable[[Desk, str], Any]
ROADS: dict[str, Try] = {
    "page": lambda who, number: (
        browser(who).post(f"/changes/{number}/decide/{step(number).pk}", form()).status_code
    ),
    "card": lambda who, number: (
        browser(who).post(f"/approvals/{step(number).pk}/", form()).status_code
    ),
    "mail link": lambda who, number: (
        browser(who).post(path_for(step(number))(who.user), form()).status_code
    ),
    "API": lambda who, number: (who.decide(number, "technical", expect=None), who.status)[1],
}


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("relation", ["requester", "editor", "former requester"])
def test_a_verdict_on_ones_own_change(desk: Sit, me: Desk, road: str, relation: str) -> None:
    """Page, card, mail link, API: as requester, as editor, and after handing it to somebody
    else.
    """
    if relation == "editor":
        number = str(desk("engineer").submit("P2")["id"])
        assert ROADS[road](me, number) in (200, 302), "before the edit the road is open"
        number = str(desk("engineer").create("P2")["id"])
        me.patch(f"/changes/{number}", {"version": 1, "summary": "I wrote this"})
        desk("engineer").post(f"/changes/{number}/submit")
    else:
        number = str(me.create("P2")["id"])
        if relation == "former requester":
            me.post(f"/changes/{number}/transfer", {"requester": "engineer"})
        (me if relation == "requester" else desk("engineer")).post(f"/changes/{number}/submit")
    version = ChangeRequest.objects.get(number=number).version
    Decision.objects.filter(change__number=number).delete()
    assert ROADS[road](me, number) == 403, version
    assert not Decision.objects.filter(change__number=number).exists()


def test_together_with_others(desk: Sit, me: Desk) -> None:
    """Bulk: one's own among others is refused, the others go through."""
    own, other = str(me.submit("P2")["id"]), str(desk("engineer").submit("P2")["id"])
    for number in (own, other):
        desk("tech-lead").decide(number, "technical")
        desk("product-manager").decide(number, "business")
    chosen = [f"{step(number, 'sign_off').pk}~1" for number in (own, other)]
    html = browser(me).post("/approvals/several", {"step": chosen}, follow=True).content.decode()
    assert "1 approved, 1 not" in html
    assert list(
        Decision.objects.filter(step__kind="sign_off").values_list("change__number", flat=True)
    ) == [other]


def test_by_a_delegate_or_as_one(desk: Sit, me: Desk) -> None:
    """Neither may my delegate decide on my change in my name, nor I on it in the name of who has
    delegated to me.
    """
    number = str(me.submit("P2")["id"])
    span = {"starts_at": timezone.now(), "ends_at": timezone.now() + timedelta(days=1)}
    delegations.delegate(actor=User.objects.get(username="tech-lead"), receiver="engineer2", **span)
    delegations.delegate(actor=User.objects.get(pk=me.user.pk), receiver="devops", **span)
    assert desk("devops").decide(number, "technical", expect=403)["code"] == "own_change"
    assert me.decide(number, "technical", expect=403)["code"] == "own_change"
    assert not Decision.objects.exists()


def test_by_telephone(desk: Sit, me: Desk) -> None:
    """Neither recorded by me on my own emergency, nor in my name by somebody else."""
    number = str(me.submit("P0")["id"])
    assert me.decide(number, "emergency", on_behalf_of="cto", expect=403)["code"] == "own_change"
    desk("oncall").decide(number, "emergency", on_behalf_of="engineer2", expect=422)
    assert not Decision.objects.exists()
    desk("oncall").decide(number, "emergency", on_behalf_of="cto")


def test_by_signing_ahead_and_by_suggestion(desk: Sit, me: Desk) -> None:
    """Signing the next stage in advance needs a review of one's own first; taking a suggestion over
    makes nobody but the requester an author.
    """
    number = str(me.submit("P2")["id"])
    answer = browser(me).post(
        f"/approvals/{step(number, 'business').pk}/",
        form("business", also=str(step(number, "sign_off").pk)),
    )
    assert answer.status_code == 403
    assert not Advance.objects.exists()
    assert (
        browser(me).post(f"/changes/{number}/suggest/summary", {"text": "Better"}).status_code
        == 403
    )
    foreign = str(desk("engineer").submit("P2")["id"])
    assert (
        browser(me).post(f"/changes/{foreign}/suggest/summary", {"text": "Better"}).status_code
        == 302
    )
    key = Suggestion.objects.get().pk
    assert (
        browser(me)
        .post(f"/changes/{foreign}/act/accept-suggestion", {"suggestion": key, "version": 1})
        .status_code
        == 403
    )
    assert ChangeRequest.objects.get(number=foreign).version == 1


def test_by_ratifying_ones_own_start(desk: Sit, me: Desk) -> None:
    """A P0 that was started before anybody authorised it: its requester does not say that this was
    right.
    """
    number = str(me.submit("P0")["id"])
    desk("oncall").post(
        f"/changes/{number}/start", {"reason": "Called the CTO at 01:50, no answer"}
    )
    path = f"/changes/{number}/steps/{step(number, 'emergency').pk}/confirmation"
    me.post(path, {"answer": "ratified"}, expect=403)
    desk("cto").post(path, {"answer": "ratified"})


def test_by_raw_sql(desk: Sit, me: Desk) -> None:
    """The database refuses the row, whoever inserts it, in one's own name or in that of another."""
    number = str(me.submit("P2")["id"])
    found, other = step(number), User.objects.get(username="tech-lead")
    for actor, named in ((me.user, None), (other, me.user), (me.user, other)):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO approvals_decision (step_id, change_id, round, stage, deferred,"
                " actor_id, on_behalf_of_id, role, roles_held, verdict, comment, checklist,"
                " content_hash, at) VALUES (%s, %s, 1, 1, false, %s, %s, 'tech-lead',"
                " '{tech-lead}', 'approve', '', '{}', %s, now())",
                [
                    found.pk,
                    found.change_id,
                    actor.pk,
                    named.pk if named else None,
                    found.content_hash,
                ],
            )


def test_there_is_no_admin_site_to_do_it_in() -> None:
    """Django's admin is not installed: no address of it resolves, so that no row is written past
    the services.
    """
    assert not any("admin" in str(pattern.pattern) for pattern in get_resolver().url_patterns)
