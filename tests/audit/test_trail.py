"""The trail: append-only, chained, and said by every verb (promise 4, F59-F63)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import Error, connection, transaction

from accounts.models import User
from audit import trail
from audit.models import Event
from requests.states import TRANSITIONS
from tests.journeys import test_api_walk as journeys
from tests.world import Desk

Sit = Callable[[str], Desk]


@pytest.mark.django_db
@pytest.mark.parametrize("table", ["audit_event", "audit_link"])
@pytest.mark.parametrize(
    "sql", ["UPDATE {} SET {} = {}", "DELETE FROM {0}", "TRUNCATE {0} CASCADE"]
)
def test_the_database_refuses_to_change_it(table: str, sql: str) -> None:
    trail.record("test.event")
    column = "via" if table == "audit_event" else "hash"
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    with (
        pytest.raises(Error, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(sql.format(table, column, "'x'"))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "tamper",
    [
        (
            "UPDATE audit_event SET data = '{\"x\": 1}' WHERE id = (SELECT min(id) + 2 FROM"
            " audit_event)"
        ),
        "UPDATE audit_event SET actor_id = NULL WHERE id = (SELECT min(id) + 2 FROM audit_event)",
        (
            "UPDATE audit_event SET at = at + interval '1 second' WHERE id = (SELECT min(id) + 1"
            " FROM audit_event)"
        ),
        "DELETE FROM audit_event WHERE id = (SELECT min(id) + 3 FROM audit_event)",
        "DELETE FROM audit_link WHERE position = (SELECT max(position) FROM audit_link)",
        "INSERT INTO audit_event (at, action, data, via) VALUES (now(), 'forged', '{}', 'page')",
    ],
)
def test_tampering_by_the_databases_owner_is_found(tamper: str) -> None:
    """F60: with triggers switched off, as only the owner can."""
    actor = User.objects.get(username="engineer")
    for index in range(6):
        trail.record("test.event", actor=actor, data={"n": index})
    assert trail.verify().ok
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(tamper)
    found = trail.verify()
    assert not found.ok
    assert found.problem


@pytest.mark.django_db(transaction=True)
def test_writers_at_once_never_fork_the_chain() -> None:
    """F61."""
    from concurrent.futures import ThreadPoolExecutor

    def write(index: int) -> None:
        try:
            with transaction.atomic():
                trail.record("test.event", data={"n": index})
                trail.record("test.event", data={"n": -index})
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(80)))
    found = trail.verify()
    assert (found.ok, found.events) == (True, 160)


@pytest.mark.django_db
def test_every_transition_has_its_event(desk: Sit, at: Any) -> None:
    """R148, R149, R150, R151: the journeys together make every transition there is, and each left
    `change.<transition>` with its actor.
    """
    journeys.test_a_p3_books_itself_and_is_booked_again_when_missed(desk, at)
    journeys.test_a_p2_walks_from_form_to_closed_in_the_tuesday_window(desk, at)
    journeys.test_an_edit_after_approval_must_be_approved_again(desk, at)
    at("2026-10-01T09:00Z")
    engineer = desk("engineer")
    sent_back, refused, raised, moved, idle = (
        engineer.submit("P2", components=["cdn"])["id"] for _ in range(5)
    )
    desk("tech-lead").decide(sent_back, "technical", "request_changes", comment="More")
    desk("tech-lead").decide(refused, "technical", "reject", comment="No")
    engineer.post(f"/changes/{sent_back}/cancel", {"reason": "Enough"})
    emergency = desk("oncall").submit("P0", components=["build-farm"])["id"]
    desk("cto").decide(emergency, "emergency")
    desk("oncall").post(f"/changes/{emergency}/start")
    desk("oncall").post(f"/changes/{emergency}/roll-back", {"reason": "Worse than before"})
    desk("oncall").tick_off(emergency, "rollback")
    desk("oncall").post(f"/changes/{emergency}/finish-rollback")
    engineer.post(
        f"/changes/{raised}/escalate",
        {"reason": "Down", "emergency_kind": "outage", "emergency_reference": "I-1"},
    )
    desk("cto").decide(raised, "emergency")
    desk("oncall").post(f"/changes/{raised}/start")
    desk("oncall").post(f"/changes/{raised}/fail", {"reason": "No way"})
    journeys.approve_p2(desk, moved)
    for start in ("2026-10-13T02:00Z", "2026-10-15T02:00Z"):
        desk("devops").post(f"/changes/{moved}/schedule", {"start": start})
    journeys.approve_p2(desk, idle)
    unused = engineer.submit("P0", components=["notifications"])["id"]
    desk("cto").decide(unused, "emergency")
    begun = engineer.create("P0", components=["notifications"], actual_start="2026-10-01T08:00Z")[
        "id"
    ]
    engineer.post(f"/changes/{begun}/submit")
    at("2027-02-22T00:00Z")
    from changemgmt.tick import tick

    tick()
    seen = set(Event.objects.filter(action__startswith="change.").values_list("action", flat=True))
    assert {f"change.{name}" for name in TRANSITIONS} <= seen


@pytest.mark.django_db
def test_events_hold_keys_of_people_not_names(desk: Sit, at: Any) -> None:
    journeys.test_a_p2_walks_from_form_to_closed_in_the_tuesday_window(desk, at)
    text = " ".join(str(data) for data in Event.objects.values_list("data", flat=True))
    for user in User.objects.all():
        assert user.email not in text
        assert user.name not in text


@pytest.mark.django_db
def test_a_refused_access_leaves_an_event(desk: Sit, at: Any) -> None:
    at("2026-10-01T09:00Z")
    number = desk("engineer").submit("P2")["id"]
    desk("engineer2").decide(number, "technical", expect=403)
    assert Event.objects.filter(action="access.refused", actor__username="engineer2").count() == 1


@pytest.mark.django_db
def test_only_auditors_and_change_managers_read_the_whole_trail(desk: Sit) -> None:
    for username, expected in (
        ("auditor", 200),
        ("change-manager", 200),
        ("engineer", 403),
        ("manager", 403),
    ):
        desk(username).get("/audit", expect=expected)
        desk(username).get("/audit/verify", expect=expected)
