"""The dashboard and the month's page, read as HTML: every number by hand, and the list behind it.

October and September as `month.py` tells them, seen on 31 October at 12:00 UTC. The auditor may
open every change; the manager may not open D, which is confidential and ended in October.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.reports import month, pages
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]
OCTOBER = [month.P0, month.P3, month.P1, month.P2, month.D]
SEPTEMBER = [month.C, month.B, month.A]

#: Month, total, successful, rolled back, failed, P0, lead time in days, MTTR in minutes.
MONTHS = [
    ["Oct 2026", "5", "2 40.0 %", "1", "2", "2", "3.1", "23.3"],
    ["Sep 2026", "3", "1 33.3 %", "1", "1", "3", "0.5", "21.0"],
    ["Aug 2026", "0", "0", "0", "0", "0", "–", "–"],
    ["Jul 2026", "0", "0", "0", "0", "0", "–", "–"],
    ["Jun 2026", "0", "0", "0", "0", "0", "–", "–"],
    ["May 2026", "0", "0", "0", "0", "0", "–", "–"],
    ["Apr 2026", "0", "0", "0", "0", "0", "–", "–"],
    ["Mar 2026", "0", "0", "0", "0", "0", "–", "–"],
    ["Feb 2026", "0", "0", "0", "0", "0", "–", "–"],
    ["Jan 2026", "0", "0", "0", "0", "0", "–", "–"],
    ["Dec 2025", "0", "0", "0", "0", "0", "–", "–"],
    ["Nov 2025", "0", "0", "0", "0", "0", "–", "–"],
]
#: Column of that table -> the changes, or issues, behind it.
BEHIND_OCTOBER = {
    1: OCTOBER,
    2: [month.P0, month.P2],
    3: [month.P1],
    4: [month.P3, month.D],
    5: [month.P0, month.D],
    6: OCTOBER,
    7: [f"{month.P1} #1", f"{month.P2} #1", f"{month.A} #1"],
}
BEHIND_SEPTEMBER = {
    1: SEPTEMBER,
    2: [month.C],
    3: [month.B],
    4: [month.A],
    5: SEPTEMBER,
    6: SEPTEMBER,
    7: [f"{month.C} #1", f"{month.B} #1"],
}
DEFINITIONS = """\
Changes completed without a rollback, of all whose implementation ended in the period.
Average time from detected to resolved, of issues that a change caused, counted when resolved.
Changes whose implementation ended, per ISO week (Monday 00:00 UTC) and month.
Average time from first submission to start of implementation, in calendar days.
"""
QUIET = ("Nov", "Dec", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug")
#: What is said on the month's page, and its number.
LINES = [
    ("Total changes", "5"),
    ("Successful changes", "2 40.0 %"),
    ("of which caused an issue", "1"),
    ("Rolled back changes", "1 20.0 %"),
    ("Failed, not rolled back", "2 40.0 %"),
    ("Emergency changes", "2"),
    ("Beside the total: rejected", "1"),
    ("Beside the total: cancelled", "1"),
    ("P0 Emergency", "2"),
    ("P1 Standard", "1"),
    ("P2 Standard", "1"),
    ("P3 Normal", "1"),
    ("Average lead time first submission to start", "3.1 days"),
    ("of which in a freeze", "0.3 days"),
    ("Average implementation time start to end of verification", "48.4 min"),
    ("MTTR detected to resolved, caused by a change", "23.3 min"),
    ("issues open at the month's end, the oldest for 18.4 days", "1"),
    ("Successful", "1 of 2"),
    ("Rolled back", "0"),
    ("Average lead time", "0.3 days"),
    ("Failed, not rolled back", "1"),
    ("Average implementation time", "55.0 min"),
    ("MTTR", "20.0 min"),
    ("Scheduled with less than 24 hours' notice", "1"),
    ("Conflicts overridden", "1"),
    ("19 other kinds: none", "0"),
]
#: What stands behind each whole number of that page, in its order.
BEHIND_PAGE = [
    OCTOBER,
    [month.P0, month.P2],
    [month.P2],
    [month.P1],
    [month.P3, month.D],
    [month.P0, month.D],
    [month.REJECTED],
    [month.IN_THE_WAY],
    [month.P0, month.D],
    [month.P1],
    [month.P2],
    [month.P3],
    [f"{month.P3} #1"],
    [month.P0],
    [],
    [month.D],
    [month.P3],
    [month.P1],
]


@pytest.fixture
def now(autumn: None, at: Any) -> None:
    at("2026-10-31T12:00Z")


def behind(desk: Desk, row: pages.Node) -> dict[int, list[str]]:
    """Column -> what stands in the list that its number opens."""
    cells = [cell for cell in row.within if isinstance(cell, pages.Node)]
    links = {column: cell.links[0] for column, cell in enumerate(cells) if column}
    return {column: sorted(pages.numbers_behind(desk, link)) for column, link in links.items()}


def in_order(table: dict[int, list[str]]) -> dict[int, list[str]]:
    return {column: sorted(numbers) for column, numbers in table.items()}


# --- the dashboard ----------------------------------------------------------------------------


def test_the_table_of_months(now: None, desk: Sit) -> None:
    """R118, R119, R120, R121, R123, R124, R125, R126: the newest first, a dash for nothing."""
    page = pages.read(desk("manager"), "/reports/")
    assert pages.table(page.all("table")[0]) == MONTHS
    assert [head.text for head in page.all("table")[0].all("thead")[0].all("th")] == [
        "Month",
        "Total",
        "Successful",
        "Rolled back",
        "Failed",
        "P0",
        "Lead, days",
        "MTTR, min",
    ]


def test_every_number_of_a_month_opens_the_changes_that_it_counts(now: None, desk: Sit) -> None:
    """R118, R119, R120, R121, A8: those and no others, by name."""
    auditor = desk("auditor")
    rows = pages.read(auditor, "/reports/").all("tbody")[0].all("tr")
    assert behind(auditor, rows[0]) == in_order(BEHIND_OCTOBER)
    assert behind(auditor, rows[1]) == in_order(BEHIND_SEPTEMBER)
    assert behind(auditor, rows[2]) == {column: [] for column in range(1, 8)}


def test_the_four_key_metrics_with_their_definitions(now: None, desk: Sit) -> None:
    """R118, R119, R120, R121: beside those of the month before; 8 in 12 weeks are 0.7 a week."""
    page = pages.read(desk("auditor"), "/reports/")
    told = [(s.all("h3")[0].text, s.all("a")[0].text) for s in page.all("section", class_="stat")]
    assert told == [
        ("Change success rate", "40.0 %"),
        ("Mean time to recovery", "23.3 min"),
        ("Change frequency", "5 this month"),
        ("Lead time", "3.1 days"),
    ]
    assert [p.text for p in page.all("p", class_="delta")] == [
        "September: 33.3 %",
        "September: 21.0 min",
        "0.7 a week over 12 weeks",
        "September: 0.5 days",
    ]
    assert [p.text for p in page.all("p", class_="def")] == DEFINITIONS.splitlines()


def test_each_key_metric_opens_its_list(now: None, desk: Sit) -> None:
    """R118, R119, R120, R121, A8."""
    auditor = desk("auditor")
    page = pages.read(auditor, "/reports/")
    links = [section.links[0] for section in page.all("section", class_="stat")]
    found = [sorted(pages.numbers_behind(auditor, link)) for link in links]
    assert found == [sorted(BEHIND_OCTOBER[column]) for column in (2, 7, 1, 6)]


def test_the_weeks_begin_on_monday_at_midnight(now: None, desk: Sit) -> None:
    """R120, A9: Sunday 23:59:59 belongs to the week of 21 September, Monday 00:00 to the next."""
    page = pages.read(desk("auditor"), "/reports/")
    titles = [title.text for title in page.all("title")]
    assert [text for text in titles if "week of" in text] == [
        "P0, week of 21 Sep: 1",
        "P0, week of 28 Sep: 3",
        "P1, week of 5 Oct: 1",
        "P2, week of 5 Oct: 1",
        "P3, week of 12 Oct: 1",
        "P0, week of 19 Oct: 1",
    ]


def test_the_charts_say_what_the_table_says(now: None, desk: Sit) -> None:
    """R118, R119, R120, R121: read to whoever cannot see them, month by month and week by week."""
    page = pages.read(desk("auditor"), "/reports/")
    none = ", ".join(f"{m} none" for m in QUIET)
    assert [chart.attributes["aria-label"] for chart in page.all("svg", role="img")] == [
        f"Success rate by month, %: {none}, Sep 33.3, Oct 40.0",
        (
            "By week and priority, 12 weeks: 10 Aug 0, 17 Aug 0, 24 Aug 0, 31 Aug 0, 7 Sep 0, 14"
            " Sep 0, 21 Sep 1, 28 Sep 3, 5 Oct 2, 12 Oct 1, 19 Oct 1, 26 Oct 0"
        ),
        f"Average lead time by month, days: {none}, Sep 0.5, Oct 3.1",
        f"MTTR by month, minutes: {none}, Sep 21.0, Oct 23.3",
    ]


# --- the month's page -------------------------------------------------------------------------


def test_the_months_page_says_the_report(now: None, desk: Sit) -> None:
    """R122, R123, R124, R125, R126, R127, R128, R129, R130, R131, R132, R133."""
    page = pages.read(desk("manager"), "/reports/2026-10/")
    assert page.all("h1")[0].text == "Monthly Change Report - October 2026"
    assert pages.figures(page) == LINES


def test_every_number_of_the_months_page_opens_what_it_counts(now: None, desk: Sit) -> None:
    """R123, R124, R125, R126, R127, R128, R129, R130, A8: by name, and as many as it says."""
    auditor = desk("auditor")
    lines = pages.read(auditor, "/reports/2026-10/").all("dl", class_="report-lines")
    links = [link for found in lines for link in found.all("a") if link.text.isdigit()]
    found = [sorted(pages.numbers_behind(auditor, link.attributes["href"])) for link in links]
    assert found == [sorted(numbers) for numbers in BEHIND_PAGE]
    assert [link.text for link in links] == [str(len(numbers)) for numbers in BEHIND_PAGE]


def test_the_months_page_lists_issues_improvements_lessons_and_changes(
    now: None,
    desk: Sit,
) -> None:
    """R134, R135, R136, A8: without what a change fixed; the changes by when they ended."""
    page = pages.read(desk("auditor"), "/reports/2026-10/")
    section = next(s for s in page.all("section") if s.attributes["aria-labelledby"] == "issues")
    assert [item.text for item in section.all("li")] == [
        "P2 Prices were missing in the results",
        "P1 Pictures answer 404",
        "P3 Alerts arrive twice (open)",
        "The smoke tests now place one order per region.",
        "The index takes four minutes to warm up.",
        "-DryRun first: it shows what would go.",
    ]
    rows = pages.table(page.all("table")[0])
    assert [(row[0], row[1].split()[-1], row[2], row[4]) for row in rows] == [
        ("P0", month.P0, "Completed", "50 min"),
        ("P3", month.P3, "Failed", "42 min"),
        ("P1", month.P1, "Rolled back", "30 min"),
        ("P2", month.P2, "Completed", "1 h"),
        ("P0", month.D, "Failed", "1 h"),
    ]


# --- what somebody may not open ---------------------------------------------------------------


def test_a_confidential_change_is_counted_and_said_to_be_kept_back(now: None, desk: Sit) -> None:
    """A8: the manager sees 5 and opens 4; the drill-down ends with how many more there are."""
    manager = desk("manager")
    row = pages.read(manager, "/reports/").all("tbody")[0].all("tr")[0]
    assert row.all("td")[0].text == "5"
    assert behind(manager, row)[1] == sorted(set(OCTOBER) - {month.D})
    listed = pages.read(manager, row.all("td")[0].links[0]).text
    assert "4 changes, and 1 confidential change you cannot open" in listed
    page = pages.read(manager, "/reports/2026-10/").text
    assert "and 1 confidential change you cannot open; they are counted above" in page
    told = manager.get("/reports/monthly/2026-10.json")
    assert (told["total"], told["changes"], told["confidential"]) == (
        5,
        [month.P2, month.P1, month.P3, month.P0],
        1,
    )
