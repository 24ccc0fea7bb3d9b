"""Two people give a third another's role for at most 14 days; it ends by itself, and every decision
by it says so (A45).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import Error, connection, transaction
from django.test import Client

from accounts.models import StandIn, User
from approvals.models import Decision
from audit.models import Event
from changemgmt.tick import tick
from proposals.models import Proposal
from tests.implementation.road import told, why
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]
NOW, UNTIL = "2026-10-01T09:00Z", "2026-10-10T09:00Z"


@pytest.fixture(autouse=True)
def october(at: Any) -> None:
    at(NOW)


def person(username: str) -> User:
    return User.objects.get(username=username)


def browser(username: str) -> Client:
    client = Client()
    client.force_login(person(username))
    return client


def ask(who: str, expect: int = 302, **more: str) -> Any:
    """By page: `who` proposes that engineer2 is tech lead instead of tech-lead."""
    body = {
        "username": "engineer2",
        "role": "tech-lead",
        "instead_of": "tech-lead",
        "ends_at": UNTIL,
        "reason": "Ill since Monday",
    } | more
    answer = browser(who).post("/settings/stand-ins/", body)
    assert answer.status_code == expect, answer.content.decode()[:2000]
    return answer


def given(desk: Sit, **more: str) -> StandIn:
    ask("change-manager", **more)
    desk("cto").post(f"/proposals/{Proposal.objects.latest('pk').pk}/confirm")
    return StandIn.objects.latest("pk")


def test_change_manager_and_cto_give_it_and_the_decision_says_so(desk: Sit) -> None:
    """A45: given by two, shown at the decision on page, API and trail, reported."""
    number = str(desk("engineer").submit("P2")["id"])
    desk("engineer2").decide(number, "technical", expect=403)
    ask("change-manager")
    assert told("proposal") == ["cto"]
    desk("engineer2").decide(number, "technical", expect=403)  # asked for is not given
    desk("cto").post(f"/proposals/{Proposal.objects.get().pk}/confirm")
    assert told("stand_in_given") == ["change-manager", "cto", "engineer2", "tech-lead"]
    desk("engineer2").decide(number, "technical")
    (step,) = [step for step in desk("engineer").steps(number) if step["kind"] == "technical"]
    assert [(d["by"], d["role"], d["stand_in_for"]) for d in step["decisions"]] == [
        ("engineer2", "tech-lead", "tech-lead")
    ]
    lead = str(person("tech-lead"))
    assert f"stand-in for {lead}" in browser("engineer").get(f"/changes/{number}/").content.decode()
    (event,) = desk("auditor").get(f"/audit?change={number}&action=approval.decide")["items"]
    assert event["data"]["stand_in"] == StandIn.objects.get().pk
    (gave,) = Event.objects.filter(action="stand_in.give").select_related("words")
    assert (gave.actor, gave.said["confirmed_by"], gave.said["reason"]) == (
        person("change-manager"),
        person("cto").pk,
        "Ill since Monday",
    )


def test_a_decision_by_ones_own_role_names_no_stand_in(desk: Sit) -> None:
    given(desk, role="product-manager", instead_of="product-manager")
    number = str(desk("engineer").submit("P2")["id"])
    desk("tech-lead").decide(number, "technical")
    assert Decision.objects.get().said_by == str(person("tech-lead"))
    desk("engineer2").decide(number, "business")
    assert (
        Decision.objects.latest("pk").said_by
        == f"{person('engineer2')}, stand-in for {person('product-manager')}"
    )


@pytest.mark.parametrize(
    ("asks", "seconds"), [("change-manager", ["cto"]), ("cto", ["change-manager"])]
)
def test_the_other_of_the_two_confirms(desk: Sit, asks: str, seconds: list[str]) -> None:
    """A45: change manager and CTO together, and nobody else."""
    ask(asks)
    key, could = Proposal.objects.get().pk, []
    for who in (
        "change-manager",
        "cto",
        "devops-lead",
        "eng-manager",
        "engineer2",
        "tech-lead",
        "auditor",
        "admin",
        "manager",
    ):
        with transaction.atomic():
            desk(who).call("POST", f"/proposals/{key}/confirm", {})
            could += [who] if desk(who).status == 200 else []
            transaction.set_rollback(True)
    assert could == seconds


@pytest.mark.parametrize(
    "who", ["engineer", "tech-lead", "eng-manager", "auditor", "manager", "admin", "oncall"]
)
def test_nobody_else_asks_for_one(desk: Sit, who: str) -> None:
    ask(who, expect=403)
    assert not Proposal.objects.exists()


def test_the_change_managers_own_role_is_given_by_cto_and_devops_lead(desk: Sit) -> None:
    """A45."""
    own = {"role": "change-manager", "instead_of": "change-manager"}
    assert (
        "is given by CTO and DevOps lead together"
        in ask("change-manager", expect=422, **own).content.decode()
    )
    assert (
        "is given by Change manager and CTO together"
        in ask("devops-lead", expect=422).content.decode()
    )
    ask("devops-lead", **own)
    key = Proposal.objects.get().pk
    desk("change-manager").post(f"/proposals/{key}/confirm", expect=403)
    desk("cto").post(f"/proposals/{key}/confirm")
    assert person("engineer2").has_role("change-manager")


@pytest.mark.parametrize(("until", "expect"), [
    ("2026-10-15T09:00Z", 302), ("2026-10-15T09:01Z", 422), ("2026-10-01T09:01Z", 302),
    ("2026-10-01T09:00Z", 422), ("", 422), ("soon", 422),
])  # fmt: skip
def test_it_lasts_at_most_14_days(desk: Sit, until: str, expect: int) -> None:
    """A45: one step either side of now and of 14 days."""
    ask("change-manager", expect=expect, ends_at=until)


def test_it_ends_by_itself_at_its_instant(desk: Sit, at: Any) -> None:
    """A45: at the instant, before any tick; the tick takes the role back and tells, once."""
    number = str(desk("engineer").submit("P2")["id"])
    row = given(desk)
    at("2026-10-10T08:59:59Z")
    assert person("engineer2").has_role("tech-lead")
    at("2026-10-10T09:00:00Z")
    assert not person("engineer2").has_role("tech-lead")
    assert why(desk("engineer2").decide(number, "technical", expect=403)) == ["not_yours"]
    assert (tick()["stand_ins"], tick()["stand_ins"]) == (1, 0)
    row.refresh_from_db()
    assert (row.ended_at, row.ended_by) == (
        datetime.fromisoformat("2026-10-10T09:00:00+00:00"),
        None,
    )
    assert not person("engineer2").groups.filter(name="tech-lead").exists()
    assert told("stand_in_ended") == ["change-manager", "cto", "engineer2", "tech-lead"]
    assert person("tech-lead").has_role("tech-lead")


@pytest.mark.parametrize(("who", "expect"), [
    ("engineer2", 302), ("tech-lead", 302), ("change-manager", 302), ("cto", 302),
    ("devops-lead", 403), ("engineer", 403), ("auditor", 403), ("admin", 403),
])  # fmt: skip
def test_who_ends_it_before_its_time(desk: Sit, who: str, expect: int) -> None:
    """A45: whoever is concerned or could give it; it stops at the next click."""
    row = given(desk)
    assert browser(who).post("/settings/stand-ins/", {"end": row.pk}).status_code == expect
    assert person("engineer2").has_role("tech-lead") == (expect == 403)
    if expect == 302:
        assert browser(who).post("/settings/stand-ins/", {"end": row.pk}).status_code == 422


@pytest.mark.parametrize(("wrong", "field"), [
    ({"username": "change-manager"}, "username"), ({"username": "auditor"}, "username"),
    ({"username": "senior-devops", "role": "senior-devops-engineer"}, "username"),
    ({"username": "nobody"}, "username"), ({"username": ""}, "username"),
    ({"role": "auditor"}, "role"), ({"role": "manager"}, "role"), ({"role": "king"}, "role"),
    ({"role": ""}, "role"), ({"instead_of": "engineer"}, "instead_of"),
    ({"instead_of": "engineer2"}, "instead_of"), ({"instead_of": ""}, "instead_of"),
    ({"reason": " "}, "reason"), ({"reason": "x" * 2001}, "reason"),
])  # fmt: skip
def test_what_is_wrong_is_said_at_its_field(desk: Sit, wrong: dict[str, str], field: str) -> None:
    html = ask("change-manager", expect=422, **wrong).content.decode()
    assert f'id="{field}"' in html
    shown = html.split(f'id="{field}"')[0].rsplit("<", 1)[1]
    assert "is-invalid" in shown
    assert html.count("is-invalid") == 1
    assert 'value="2026-10-10T09:00Z"' in html  # nothing typed is lost


def test_who_gets_the_role_agrees_to_nothing(desk: Sit) -> None:
    """A45, A37: a CTO who would be tech lead does not confirm it; another CTO does."""
    ask("change-manager", username="cto")
    key = Proposal.objects.get().pk
    assert why(desk("cto").post(f"/proposals/{key}/confirm", expect=403)) == ["own_change"]
    person("devops2").groups.add(Group.objects.get(name="cto"))
    desk("devops2").post(f"/proposals/{key}/confirm")


def test_a_stand_in_gives_no_stand_in_and_passes_nothing_on(desk: Sit) -> None:
    """A45, F36: neither half by a role that is only lent; a delegation does not carry it."""
    given(desk, username="eng-manager", role="cto", instead_of="cto")
    ask("change-manager")
    key = Proposal.objects.latest("pk").pk
    assert why(desk("eng-manager").post(f"/proposals/{key}/confirm", expect=403)) == ["not_yours"]
    ask("eng-manager", expect=403)
    number = str(desk("oncall").submit("P0")["id"])
    body = {"receiver": "devops2", "ends_at": "2026-10-05T09:00Z"}
    assert browser("eng-manager").post("/settings/delegations/", body).status_code == 302
    desk("devops2").decide(number, "emergency", expect=403)
    desk("eng-manager").decide(number, "emergency")


def test_a_stand_in_stays_the_person_that_they_are(desk: Sit) -> None:
    """A45, A2: neither on one's own change, nor twice in a stage."""
    given(desk, username="engineer", role="tech-lead", instead_of="tech-lead")
    number = str(desk("engineer").submit("P2")["id"])
    assert why(desk("engineer").decide(number, "technical", expect=403)) == ["own_change"]


def test_overtaken_is_said_and_changes_nothing(desk: Sit, at: Any) -> None:
    ask("change-manager")
    key = Proposal.objects.get().pk
    at("2026-10-10T09:00:00Z")
    assert why(desk("cto").post(f"/proposals/{key}/confirm", expect=409)) == ["overtaken"]
    assert not StandIn.objects.exists()


@pytest.mark.parametrize("change", [
    {"confirmed_by": "change-manager"}, {"given_by": "engineer2"}, {"confirmed_by": "engineer2"},
    {"instead_of": "engineer2"}, {"days": 15}, {"days": 0},
])  # fmt: skip
def test_the_database_refuses_what_the_rule_forbids(change: dict[str, Any]) -> None:
    """A45: two different people, neither of them the third, at most 14 days."""
    start = datetime.fromisoformat("2026-10-01T09:00:00+00:00")
    values = {
        "user": "engineer2",
        "instead_of": "tech-lead",
        "given_by": "change-manager",
        "confirmed_by": "cto",
        "days": 14,
    } | change
    people = {
        name: person(str(values[name]))
        for name in ("user", "instead_of", "given_by", "confirmed_by")
    }
    ends_at = start + timedelta(days=int(str(values["days"])))
    with pytest.raises(Error), transaction.atomic():
        StandIn.objects.create(
            role="tech-lead", starts_at=start, ends_at=ends_at, reason="x", **people
        )


def test_the_report_counts_its_decisions(desk: Sit, at: Any) -> None:
    """A45: reported, by the change."""
    given(desk)
    number = str(
        desk("engineer").submit(
            "P3", implementer="devops", requested_window={"start": "2026-10-06T02:00Z"}
        )["id"]
    )
    desk("engineer2").decide(number, "technical")
    desk("devops2").decide(number, "sign_off")
    at("2026-10-06T02:00Z")
    for phase in (("pre",), ("start", "during", "post")):
        desk("devops").tick_off(number, *phase)
        desk("devops").post(f"/changes/{number}/{'start' if phase == ('pre',) else 'finish'}")
    at("2026-10-06T02:30Z")
    desk("devops").post(f"/changes/{number}/complete")
    at("2026-10-31T09:00Z")
    assert desk("manager").get("/reports/monthly/2026-10")["exceptions"]["stand_ins"] == 1
    assert number in browser("manager").get("/reports/2026-10/stand_ins/").content.decode()


def test_a_persons_roles_cost_one_query(desk: Sit) -> None:
    from django.test.utils import CaptureQueriesContext

    given(desk)
    found = person("engineer2")
    with CaptureQueriesContext(connection) as queries:
        assert found.has_role("tech-lead", "engineer")
        assert found.stand_ins.keys() == {"tech-lead"}
        assert found.holds_itself("engineer")
    assert len(queries) == 1
    key = StandIn.objects.latest("pk").pk
    assert (
        found.as_stand_in("tech-lead"),
        found.as_stand_in("tech-lead", "engineer"),
        found.as_stand_in("cto"),
    ) == (
        {"stand_in": key},
        {},
        {},
    )
