"""Every version of a report stays readable, and says all that it moved, by which events (A31, X35);
what files must survive (X37).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from reports import following, reporting
from reports.formats import safe_cell
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]


def ended(desk: Sit, at: Any, lesson: str = "") -> str:
    """A P0 of October that was completed."""
    at("2026-10-06T02:00Z")
    number = str(desk("engineer").submit("P0", requested_date=None)["id"])
    desk("cto").decide(number, "emergency")
    desk("oncall").post(f"/changes/{number}/start")
    at("2026-10-06T02:30Z")
    desk("oncall").tick_off(number, "start", "during")
    desk("oncall").post(f"/changes/{number}/finish")
    at("2026-10-06T03:00Z")
    desk("oncall").tick_off(number, "post")
    desk("oncall").post(f"/changes/{number}/complete")
    if lesson:
        desk("oncall").put(
            f"/changes/{number}/review",
            {"summary": "It went", "lessons": lesson, "runbook_updated": True},
        )
    return number


@pytest.fixture
def three_versions(desk: Sit, at: Any) -> str:
    """The October report, issued; then a change is rolled back after all, and an issue of another
    is resolved.
    """
    number = ended(desk, at, "Watch the queue")
    ended(desk, at, " watch  the queue.")
    at("2026-10-07T09:00Z")
    desk("oncall").post(
        f"/changes/{number}/issues",
        {
            "severity": "P1",
            "summary": "Slow",
            "detected_at": "2026-10-06T02:40Z",
            "link": "caused_by",
        },
        expect=201,
    )
    at("2026-11-03T00:00Z")
    following.make_what_is_due()
    at("2026-11-04T09:00Z")
    desk("oncall").call(
        "PATCH", f"/changes/{number}/issues/1", {"resolved_at": "2026-10-06T04:40Z"}, expect=200
    )
    following.make_what_is_due()
    return number


def report(desk: Sit, version: int | None = None, expect: int = 200) -> Any:
    wanted = "" if version is None else f"?version={version}"
    return desk("manager").get(f"/reports/monthly/2026-10.json{wanted}", expect)


def test_each_version_opens_by_api_and_page(desk: Sit, three_versions: str) -> None:
    assert [report(desk, n)["version"] for n in (1, 2)] == [1, 2]
    assert report(desk)["version"] == 2
    assert (report(desk, 1)["mttr_minutes"], report(desk, 2)["mttr_minutes"]) == (None, 120.0)
    for never in (0, 3, 99):
        report(desk, never, expect=404)
    desk("manager").client.force_login(desk("manager").user)
    first = desk("manager").client.get("/reports/2026-10/?version=1").content.decode()
    assert "This is version 1; the newest is" in first
    assert (
        "What version 2 moves" in desk("manager").client.get("/reports/2026-10/").content.decode()
    )
    assert [
        desk("manager").client.get(f"/reports/2026-10/?version={v}").status_code
        for v in ("3", "x", "-1", "9" * 30)
    ] == [404] * 4


def test_what_moved_is_every_line_with_its_events(desk: Sit, three_versions: str) -> None:
    moved = {line["line"]: line for line in report(desk, 2)["moved"]}
    assert {
        name: (line["from"], line["to"]) for name, line in moved.items() if name != "issues"
    } == {
        "mttr_minutes": (None, 120.0),
        "open_issues.count": (1, 0),
        "open_issues.oldest_days": (25.9, None),
        "emergencies.mttr_minutes": (None, 120.0),
    }
    assert [issue["resolved"] for issue in moved["issues"]["to"]] == [True]
    edits = desk("auditor").get(f"/audit?change={three_versions}&action=implementation.issue_edit")[
        "items"
    ]
    assert all(line["events"] == [edits[0]["id"]] for line in moved.values())
    assert report(desk, 1)["moved"] == []


def test_a_rollback_after_the_issue_moves_all_that_it_touches(
    desk: Sit, at: Any, three_versions: str
) -> None:
    """A30: outcome, shares and lists move together, and the version before stays as it was."""
    at("2026-10-12T09:00Z")
    desk("oncall").post(f"/changes/{three_versions}/roll-back", {"reason": "Errors"})
    desk("oncall").tick_off(three_versions, "rollback")
    desk("oncall").post(f"/changes/{three_versions}/finish-rollback")
    at("2026-11-05T09:00Z")
    made = reporting.make(date(2026, 10, 1))
    assert made is not None
    names = {line["line"] for line in report(desk)["moved"]}
    assert {
        "successful.count",
        "successful.percent",
        "rolled_back.count",
        "rolled_back.percent",
    } <= names
    assert (report(desk, 2)["rolled_back"]["count"], report(desk, 3)["rolled_back"]["count"]) == (
        0,
        1,
    )


def test_what_says_the_same_is_listed_once(desk: Sit, three_versions: str) -> None:
    """X37, R136: white space, case and the last full stop tell no two lessons apart."""
    assert report(desk)["lessons"] == ["Watch the queue"]


def test_spreadsheets_read_the_files_right(desk: Sit, three_versions: str) -> None:
    """X37, F46: a byte order mark before the monthly CSV and the list's; no cell is a formula,
    full-width signs included.
    """
    for path in ("/api/v1/reports/monthly/2026-10.csv", "/changes/export.csv"):
        desk("manager").client.force_login(desk("manager").user)
        answer = desk("manager").client.get(path)
        body = b"".join(answer.streaming_content) if answer.streaming else answer.content
        assert body.startswith(b"\xef\xbb\xbf"), path
    for begins in (
        "=",
        "+",
        "-",
        "@",
        "＝",
        "＋",
        "－",
        "＠",
        " =",
        "\u3000＝",
        "\u00a0=",
        '"=',
        "\ufeff=",
        "\u200b=",
    ):
        assert safe_cell(f"{begins}1+1").startswith("'"), begins
    assert (safe_cell("1+1"), safe_cell(-3), safe_cell("Stop = go")) == ("1+1", "-3", "Stop = go")
