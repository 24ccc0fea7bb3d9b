"""The tick: everything due by an instant, once, also after days of downtime (promise 5, F7, F8)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from audit.models import Event
from changemgmt import tick as ticking
from changemgmt.models import Heartbeat
from changemgmt.tick import tick
from notifications.models import Message
from reports.models import MonthlyReport
from requests.models import ChangeRequest
from tests.world import Desk, fields

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]


def approve(desk: Sit, number: str, priority: str) -> None:
    if priority == "P3":
        desk("senior-devops").decide(number, "technical")
        desk("devops").decide(number, "sign_off")
        return
    for who, kind in (
        ("tech-lead", "technical"),
        ("product-manager", "business"),
        ("eng-manager", "sign_off"),
        ("devops-lead", "sign_off"),
    ):
        desk(who).decide(number, kind)


def started(desk: Sit, at: Any, slot: str = "2026-10-06T02:00Z") -> str:
    """A P2 that runs from the beginning of its slot."""
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P2", requested_window={"start": slot})["id"])
    approve(desk, number, "P2")
    at(slot)
    desk("devops").tick_off(number, "pre")
    desk("devops").post(f"/changes/{number}/start")
    return number


def test_an_overrun_is_marked_and_told_once(desk: Sit, at: Any) -> None:
    """A25: the slot of 45 minutes ends at 02:45; the run may go on."""
    number = started(desk, at)
    at("2026-10-06T02:44Z")
    assert tick()["overruns"] == 0
    at("2026-10-06T02:46Z")
    assert [tick()["overruns"], tick()["overruns"]] == [1, 0]
    assert Message.objects.filter(kind="overrun", recipient__username="change-manager").count() == 1
    assert desk("devops").get(f"/changes/{number}")["state"] == "implementing"


def test_the_watch_after_the_work_is_no_overrun(desk: Sit, at: Any) -> None:
    """A25: the final 30-minute watch may run past the slot."""
    number = started(desk, at)
    desk("devops").tick_off(number, "start", "during")
    at("2026-10-06T02:40Z")
    desk("devops").post(f"/changes/{number}/finish")
    at("2026-10-06T03:00Z")
    assert tick()["overruns"] == 0


def test_an_emergencys_documentation_becomes_overdue_with_its_review(desk: Sit, at: Any) -> None:
    """A13, A22: 24 hours after the end, once, told to its people and the change manager, and
    reported.
    """
    at("2026-10-01T02:00Z")
    number = desk("engineer").post("/changes", without_documentation(), expect=201)["id"]
    desk("engineer").post(f"/changes/{number}/submit")
    desk("cto").decide(number, "emergency")
    desk("oncall").post(f"/changes/{number}/start")
    desk("oncall").post(f"/changes/{number}/fail", {"reason": "The gateway did not come back"})
    desk("oncall").put(
        f"/changes/{number}/review", {"summary": "It failed", "runbook_updated": False}
    )
    at("2026-10-02T01:59Z")
    assert tick()["overdue_documentation"] == 0
    at("2026-10-02T02:01Z")
    done = tick()
    assert (done["overdue_documentation"], done["overdue_reviews"]) == (1, 0)
    assert tick()["overdue_documentation"] == 0
    assert Message.objects.filter(kind="documentation_overdue").count() == 3
    assert desk("manager").get("/reports/monthly/2026-10.json")["exceptions"]["review_overdue"] == 1


def without_documentation() -> dict[str, Any]:
    owed = {
        "rollback_tested",
        "rollback_minutes",
        "testing_plan",
        "dependencies",
        "user_impact",
        "estimated_minutes",
        "requested_date",
    }
    return {name: value for name, value in fields("P0").items() if name not in owed}


def test_a_week_without_a_worker_comes_right_in_one_tick(desk: Sit, at: Any) -> None:
    """F7: a missed P2 is freed, a missed P3 booked again, an overrun marked, a review overdue, each
    once, each told late.
    """
    running = started(desk, at)
    at("2026-10-06T03:00Z")
    missed = {}
    for priority, component in (("P2", "cdn"), ("P3", "monitoring")):
        window = {"start": "2026-10-08T02:00Z"}
        more = {
            "components": [component],
            "requested_window": window,
            "requested_date": "2026-10-07",
        }
        missed[priority] = desk("engineer").submit(priority, **more)["id"]
        approve(desk, missed[priority], priority)
        assert desk("engineer").get(f"/changes/{missed[priority]}")["state"] == "scheduled"
    failed = desk("engineer").submit("P0", requested_date="2026-10-07")["id"]
    desk("cto").decide(failed, "emergency")
    desk("oncall").post(f"/changes/{failed}/start")
    desk("oncall").post(f"/changes/{failed}/fail", {"reason": "It did not help"})
    at("2026-10-13T09:00Z")
    done = tick()
    assert (done["missed_slots"], done["overruns"], done["overdue_reviews"]) == (2, 1, 1)
    states = {p: desk("engineer").get(f"/changes/{number}") for p, number in missed.items()}
    assert (states["P2"]["state"], states["P2"]["slot"]) == ("approved", None)
    assert (states["P3"]["state"], states["P3"]["slot"]["start"]) == (
        "scheduled",
        "2026-10-15T02:00:00Z",
    )
    assert ChangeRequest.objects.get(number=running).overrun_at == timezone.now()
    events, messages = Event.objects.count(), Message.objects.count()
    assert not any(tick().values())
    assert (Event.objects.count(), Message.objects.count()) == (events, messages)


def test_the_report_is_made_on_the_first_and_issued_on_the_third(desk: Sit, at: Any) -> None:
    """R152, A31: preliminary from the first, issued on the third at 00:00 UTC, once each, mailed to
    managers once.
    """
    number = started(desk, at)
    desk("devops").post(f"/changes/{number}/fail", {"reason": "It did not work"})
    desk("devops").put(f"/changes/{number}/review", {"summary": "It did not work"})
    for instant, expected in (
        ("2026-10-31T23:59Z", []),
        ("2026-11-01T00:00Z", [(1, "preliminary")]),
        ("2026-11-02T23:59Z", [(1, "preliminary")]),
        ("2026-11-03T00:00Z", [(1, "preliminary"), (2, "issued")]),
        ("2026-11-05T00:00Z", [(1, "preliminary"), (2, "issued")]),
    ):
        at(instant)
        tick()
        october = MonthlyReport.objects.filter(month="2026-10-01").order_by("version")
        assert list(october.values_list("version", "status")) == expected, instant
    assert Message.objects.filter(kind="report_issued", recipient__username="manager").count() == 1


def test_months_of_downtime_issue_each_report_once(desk: Sit, at: Any) -> None:
    """A31, promise 5: caught up with, not mailed in a burst."""
    number = started(desk, at)
    desk("devops").post(f"/changes/{number}/fail", {"reason": "It did not work"})
    at("2027-02-10T00:00Z")
    tick()
    tick()
    issued = MonthlyReport.objects.filter(status="issued")
    assert sorted(f"{report.month:%Y-%m}" for report in issued) == [
        "2026-10",
        "2026-11",
        "2026-12",
        "2027-01",
    ]
    assert Message.objects.filter(kind="report_issued", recipient__username="manager").count() == 1


def test_one_duty_that_breaks_does_not_hold_up_the_others(
    desk: Sit, at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Promise 5."""
    started(desk, at)
    at("2026-10-06T02:46Z")

    def broken() -> int:
        raise RuntimeError("no report today")

    monkeypatch.setitem(ticking.DUTIES, "monthly_reports", broken)
    assert tick()["overruns"] == 1
    assert "tick" in Heartbeat.all()


@pytest.mark.django_db(transaction=True)
def test_a_second_tick_at_the_same_time_leaves_at_once() -> None:
    """F8: two beats, one effect."""
    results = []
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [ticking.ONE_AT_A_TIME])

        def other() -> None:
            results.append(tick())
            connection.close()

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        cursor.execute("SELECT pg_advisory_unlock(%s)", [ticking.ONE_AT_A_TIME])
    assert results == [{}]
    assert "monthly_reports" in tick()


def test_readiness_names_the_part_that_is_not_well() -> None:
    """F6: database, broker, each queue's worker, the tick."""
    assert Client().get("/readyz").status_code == 503
    for name in ("tick", "celery", "mail"):
        Heartbeat.beat(name)
    answer = Client().get("/readyz")
    assert answer.status_code == 200, answer.json()
    Heartbeat.objects.filter(name="mail").update(at=timezone.now() - timedelta(minutes=4))
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert [name for name, part in answer.json().items() if not part["ok"]] == ["mail_worker"]
    assert Client().get("/healthz").status_code == 200
