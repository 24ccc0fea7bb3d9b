"""Numbers that can be trusted: each is the count of a list, and can be recounted from the trail
alone (promise 7, A8, A9, A31).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from accounts.models import User
from audit.models import Event
from changemgmt.tick import tick
from reports import lists, reporting
from reports.models import MonthlyReport
from requests.models import ChangeRequest
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]
MONTHS = ("2026-06", "2026-07", "2026-08", "2026-09")


@pytest.fixture
def history(at: Any) -> None:
    """Half a year of believable changes, ending on 6 October."""
    at("2026-10-06T09:00Z")
    call_command("demo_data", "--changes", "400", "--months", "6", stdout=StringIO())


def number(figures: dict[str, Any], line: str) -> int:
    value = figures["exceptions"][line] if line in figures["exceptions"] else figures.get(line)
    return int(value["count"] if isinstance(value, dict) else value)


def test_each_number_is_the_count_of_its_list(history: None, desk: Sit) -> None:
    """Promise 7: on the page behind a number stand as many changes as it says; the numbers are not
    all nothing.
    """
    some = set()
    for month in MONTHS:
        figures = reporting.compute(date.fromisoformat(f"{month}-01"))
        start = datetime.fromisoformat(f"{month}-01T00:00+00:00")
        end = (start + timedelta(days=32)).replace(day=1)
        for line, entry in lists.CHANGES.items():
            assert number(figures, line) == entry.find(start, end).count(), (month, line)
            some |= {line} if number(figures, line) else set()
        assert (
            figures["open_issues"]["count"] == lists.ISSUES["open_issues"].find(start, end).count()
        )
        assert (
            len(figures["issues"])
            == lists.ISSUES["issues"].find(start, end).filter(change__confidential=False).count()
        )
        page = desk("auditor").client
        page.force_login(desk("auditor").user)
        for line in ("rejected", "caused_issue", "short_notice", "overruns", "steps_skipped"):
            body = page.get(f"/reports/{month}/{line}/").content.decode()
            told = re.search(r"(\d+) counted", body)
            assert int(told[1] if told else 0) == number(figures, line), (month, line)
            assert body.count("data-row") == min(50, number(figures, line))
    assert {
        "rejected",
        "cancelled",
        "caused_issue",
        "short_notice",
        "overruns",
        "review_overdue",
        "monitoring_shortened",
    } <= some


def averaged(lengths: list[timedelta], unit: timedelta) -> float | None:
    if not lengths:
        return None
    exact = (
        Decimal(sum(int(length.total_seconds() * 1_000_000) for length in lengths))
        / len(lengths)
        / int(unit.total_seconds() * 1_000_000)
    )
    return float(exact.quantize(Decimal("0.1"), ROUND_HALF_UP))


def recounted(month: str) -> dict[str, Any]:
    """The month's report by reading the trail once from its beginning, and nothing else."""
    lives: dict[int, dict[str, Any]] = defaultdict(dict)
    issues: dict[tuple[int, int], dict[str, Any]] = {}
    beside = {"rejected": 0, "cancelled": 0}

    def in_month(at: datetime | None) -> bool:
        return at is not None and at.astimezone(UTC).strftime("%Y-%m") == month

    for event in Event.objects.filter(change_id__isnull=False).order_by("id"):
        life, data = lives[event.change_id], event.data
        match event.action:
            case "change.submit":
                life.setdefault("submitted", event.at)
            case "change.start":
                life.setdefault("started", event.at)
                life["priority"] = data["priority"]
            case "change.complete" | "change.finish_rollback" | "change.fail":
                life.setdefault("ended", event.at)
                life["outcome"] = data["outcome"]
                for n in data.get("resolved", []):
                    issues[event.change_id, n]["resolved"] = event.at
            case "change.reject":
                beside["rejected"] += in_month(event.at)
            case "change.cancel":
                beside["cancelled"] += in_month(event.at)
            case "implementation.issue" | "implementation.issue_edit":
                resolved = data.get("resolved_at")
                issues[event.change_id, data["n"]] = {
                    "link": data["link"],
                    "detected": datetime.fromisoformat(data["detected_at"]),
                    "resolved": datetime.fromisoformat(resolved) if resolved else None,
                }
    ended = [life for life in lives.values() if in_month(life.get("ended"))]
    mended = [
        issue
        for issue in issues.values()
        if issue["link"] == "caused_by" and in_month(issue["resolved"])
    ]
    return beside | {
        "total": len(ended),
        "successful": sum(life["outcome"] == "completed" for life in ended),
        "rolled_back": sum(life["outcome"] == "rolled_back" for life in ended),
        "failed": sum(life["outcome"] == "failed" for life in ended),
        "by_priority": {
            p: sum(life["priority"] == p for life in ended) for p in ("P0", "P1", "P2", "P3")
        },
        "lead": averaged(
            [life["started"] - life["submitted"] for life in ended], timedelta(days=1)
        ),
        "took": averaged([life["ended"] - life["started"] for life in ended], timedelta(minutes=1)),
        "mttr": averaged(
            [issue["resolved"] - issue["detected"] for issue in mended], timedelta(minutes=1)
        ),
    }


def test_the_report_is_recounted_from_the_trail_alone(history: None) -> None:
    """Promise 7, A8, A9: an independent reading of the events comes to the same report."""
    for month in MONTHS:
        told, again = reporting.compute(date.fromisoformat(f"{month}-01")), recounted(month)
        assert again["total"] > 20
        assert {
            name: again[name] for name in ("total", "by_priority", "rejected", "cancelled")
        } == {name: told[name] for name in ("total", "by_priority", "rejected", "cancelled")}, month
        assert [again[name] for name in ("successful", "rolled_back", "failed")] == [
            told[name]["count"] for name in ("successful", "rolled_back", "failed")
        ]
        assert (again["lead"], again["took"], again["mttr"]) == (
            told["average_lead_time_days"],
            told["average_implementation_minutes"],
            told["mttr_minutes"],
        )


def emergency(desk: Sit, at: Any, begin: str, end: str) -> str:
    at(begin)
    made = str(desk("engineer").submit("P0")["id"])
    desk("cto").decide(made, "emergency")
    desk("oncall").post(f"/changes/{made}/start")
    at(end)
    desk("oncall").post(f"/changes/{made}/fail", {"reason": "It did not help"})
    return made


def newest(month: str) -> MonthlyReport:
    return MonthlyReport.objects.filter(month=f"{month}-01").latest("version")


def test_facts_that_come_late_make_a_new_version_of_whatever_month_they_concern(
    desk: Sit, at: Any
) -> None:
    """A31: an issue of half a year ago is moved to another month: both months' issued reports get a
    version that says so.
    """
    made = emergency(desk, at, "2026-03-10T10:00Z", "2026-03-10T11:00Z")
    issue = {
        "severity": "P2",
        "summary": "Slow search",
        "detected_at": "2026-03-10T10:05Z",
        "resolved_at": "2026-03-10T10:25Z",
    }
    desk("oncall").post(f"/changes/{made}/issues", issue, expect=201)
    at("2026-09-15T09:00Z")
    tick()
    assert (
        newest("2026-03").version,
        newest("2026-03").status,
        newest("2026-03").figures["mttr_minutes"],
    ) == (1, "issued", 20.0)
    assert tick()["monthly_reports"] == 0
    moved = {"detected_at": "2026-04-02T10:00Z", "resolved_at": "2026-04-02T10:50Z"}
    desk("oncall").patch(f"/changes/{made}/issues/1", moved)
    assert tick()["monthly_reports"] == 2
    march, april = newest("2026-03"), newest("2026-04")
    assert (
        march.version,
        march.status,
        march.figures["mttr_minutes"],
        march.figures["issues"],
    ) == (2, "issued", None, [])
    assert (april.version, april.figures["mttr_minutes"], len(april.figures["issues"])) == (
        2,
        50.0,
        1,
    )
    assert tick()["monthly_reports"] == 0
    assert newest("2026-05").version == 1


def test_the_wait_in_a_freeze_is_told_apart(desk: Sit, at: Any) -> None:
    """A9: submitted on 1 November, started after the freezes on 5 January: 56 of the 65 days lay in
    a freeze or blackout.
    """
    at("2026-11-01T02:00Z")
    made = str(desk("engineer").submit("P2", requested_date="2026-11-01")["id"])
    for who, kind in (
        ("tech-lead", "technical"),
        ("product-manager", "business"),
        ("eng-manager", "sign_off"),
        ("devops-lead", "sign_off"),
    ):
        desk(who).decide(made, kind)
    free = desk("engineer").get(f"/changes/{made}/slots?limit=200")["items"]
    at("2027-01-04T02:00Z")
    desk("engineer").post(f"/changes/{made}/schedule", {"start": "2027-01-05T02:00:00Z"})
    assert [item["start"][:7] for item in free if item["start"] < "2027-01-05T02:00:00Z"].count(
        "2026-12"
    ) == 0
    at("2027-01-05T02:00Z")
    devops = desk("devops")
    devops.tick_off(made, "pre")
    devops.post(f"/changes/{made}/start")
    devops.post(f"/changes/{made}/fail", {"reason": "It did not help"})
    report = desk("manager").get("/reports/monthly/2027-01")
    assert report["average_lead_time_days"] == 65.0
    waits = [
        c.frozen / timedelta(days=1)
        for c in reporting._ended(*reporting.metrics.month_span(date(2027, 1, 1)))[1]
    ]
    assert report["average_lead_time_in_freeze_days"] == round(waits[0], 1)
    assert 50 < waits[0] < 60


def test_emergencies_and_open_issues_are_told_apart(desk: Sit, at: Any) -> None:
    """A9: the figures of P0 by themselves; what is open at the month's end with its age."""
    made = emergency(desk, at, "2026-03-10T10:00Z", "2026-03-10T11:00Z")
    desk("oncall").post(
        f"/changes/{made}/issues",
        {"severity": "P2", "summary": "Slow", "detected_at": "2026-03-22T00:00Z"},
        expect=422,
    )
    at("2026-03-22T00:00Z")
    desk("oncall").post(
        f"/changes/{made}/issues", {"severity": "P2", "summary": "Slow"}, expect=201
    )
    at("2026-04-05T00:00Z")
    report = desk("manager").get("/reports/monthly/2026-03")
    assert report["open_issues"] == {"count": 1, "oldest_days": 10.0}
    assert (report["emergencies"]["total"], report["emergencies"]["failed"]["count"]) == (1, 1)
    assert report["emergencies"]["average_implementation_minutes"] == 60.0


def test_a_list_behind_a_number_says_what_it_keeps_back(desk: Sit, at: Any) -> None:
    """A8: confidential changes are counted, and named only to those who may open them; unknown
    lines are not there.
    """
    at("2026-03-10T10:00Z")
    for confidential in (True, False):
        made = desk("engineer").submit("P2", confidential=confidential)["id"]
        desk("engineer").post(f"/changes/{made}/cancel", {"reason": "Not needed any more"})
    for who, shown, kept in (("engineer2", 1, "1 of them confidential"), ("engineer", 2, None)):
        client = desk(who).client
        client.force_login(User.objects.get(username=who))
        body = client.get("/reports/2026-03/cancelled/").content.decode()
        assert body.count("data-row") == shown
        assert (kept in body) if kept else ("confidential" not in body)
        assert client.get("/reports/2026-03/nonsense/").status_code == 404
    assert ChangeRequest.objects.filter(state="cancelled").count() == 2


def test_a_step_skipped_before_a_rollback_is_counted(desk: Sit, at: Any) -> None:
    """A9, exceptions by name: also where the run did not end well."""
    made = emergency(desk, at, "2026-03-10T10:00Z", "2026-03-10T11:00Z")
    at("2026-03-10T12:00Z")
    second = str(desk("engineer").submit("P0")["id"])
    desk("cto").decide(second, "emergency")
    desk("oncall").post(f"/changes/{second}/start")
    item = desk("oncall").get(f"/changes/{second}/checklist")["items"][0]
    desk("oncall").patch(
        f"/changes/{second}/checklist/{item['id']}", {"state": "skipped", "note": "No time"}
    )
    desk("oncall").post(f"/changes/{second}/roll-back", {"reason": "Worse than before"})
    desk("oncall").post(f"/changes/{second}/fail", {"reason": "Cannot go back"})
    report = desk("manager").get("/reports/monthly/2026-03")
    assert report["exceptions"]["steps_skipped"] == 1
    assert made != second
