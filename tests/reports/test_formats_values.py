"""The report in its three forms from values alone: the golden month with distinct figures, one with
hardly any, and cells.
"""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reports import formats

GOLDEN = Path(__file__).parent / "golden"


def distinct(**more: Any) -> dict[str, Any]:
    """September 2026, in which every figure differs from every other."""
    return {**json.loads((GOLDEN / "distinct.json").read_text(encoding="utf-8")), **more}


def rows(report: dict[str, Any]) -> list[list[str]]:
    return list(csv.reader(io.StringIO(formats.as_csv(report), newline="")))


def test_every_figure_stands_at_its_own_line() -> None:
    """R122, R123, R124, R125, R126, R127, R128, R129, R130, R131, R132, R133, R134, R135, R136: by
    the golden files.
    """
    assert formats.as_markdown(distinct()) == (GOLDEN / "distinct.md").read_text(encoding="utf-8")
    told = formats.as_csv(distinct())
    assert told.replace("\r\n", "\n") == (GOLDEN / "distinct.csv").read_text(encoding="utf-8")
    assert told.count("\r\n") == told.count("\n"), "rows end as RFC 4180 has it"


def test_a_month_in_which_nothing_happened() -> None:
    """R122, R124, R125, R131, R132, R133, R134: dashes where nothing is averaged, and it is said
    that there was no issue.
    """
    none = {"count": 0, "percent": None}
    clocks = (
        "average_lead_time_days",
        "average_lead_time_in_freeze_days",
        "average_implementation_minutes",
        "mttr_minutes",
    )
    report = distinct(
        status="preliminary", version=1, issued_at=None, successful=none, rolled_back=none,
        failed=none,
        issues=[], improvements=[], lessons=[], changes=[], open_issues=None, emergencies=None,
        **dict.fromkeys(clocks),
    )  # fmt: skip
    told = formats.as_markdown(report).splitlines()
    assert told[2] == "Preliminary, version 1"
    assert told[5:11] == [
        "- Total Changes: 97",
        "- Successful Changes: 0 (–%)",
        "  - of which caused an issue: 7",
        "- Rolled Back Changes: 0 (–%)",
        "- Failed, not rolled back: 0 (–%)",
        "- Emergency Changes: 11",
    ]
    start = told.index("### Performance Metrics")
    assert told[start + 1 : start + 17] == [
        "- Average Lead Time: – days",
        "  - of which in a freeze: – days",
        "- Average Implementation Time: – minutes",
        "- MTTR: – minutes",
        "- Issues open at the month's end: –",
        "- Oldest open issue, days: –",
        "- Emergencies apart: Total: –",
        "- Emergencies apart: Successful: –",
        "- Emergencies apart: Rolled back: –",
        "- Emergencies apart: Failed, not rolled back: –",
        "- Emergencies apart: Average lead time, days: –",
        "- Emergencies apart: Average implementation time, minutes: –",
        "- Emergencies apart: MTTR, minutes: –",
        "",
        "### Issues and Improvements",
        "- No issues were recorded.",
    ]
    assert told[start + 17 : start + 19] == ["", "### Exceptions"]
    told_rows = {(section, line): value for section, line, value in rows(report)}
    assert told_rows["Performance Metrics", "MTTR, minutes"] == ""
    assert told_rows["Summary", "Successful Changes, %"] == ""
    assert rows(report)[0] == ["Monthly Change Report - September 2026", "version 1", "preliminary"]


def test_a_report_of_before_these_figures_were_kept_has_dashes() -> None:
    """R122: an issued version stays readable when later ones say more."""
    report = distinct()
    for later in ("average_lead_time_in_freeze_days", "open_issues", "emergencies", "issued_at"):
        del report[later]
    told = formats.as_markdown(report).splitlines()
    assert told[2] == "Issued, version 12"
    assert "  - of which in a freeze: – days" in told
    assert told.count("- Emergencies apart: Total: –") == 1
    assert ["Performance Metrics", "of which in a freeze, days", ""] in rows(report)
    assert ["Performance Metrics", "Issues open at the month's end", ""] in rows(report)
    halves = distinct(open_issues={"count": 0}, emergencies={"total": 0, "successful": None})
    assert ["Performance Metrics", "Issues open at the month's end", "0"] in rows(halves)
    assert ["Performance Metrics", "Oldest open issue, days", ""] in rows(halves)
    assert ["Emergencies apart", "Successful", ""] in rows(halves)


@pytest.mark.parametrize(
    "issued", ["2026-10-04T16:40:00Z", datetime(2026, 10, 4, 16, 40, 0, 999999, UTC)]
)
def test_the_instant_of_issue_is_said_in_utc(issued: str | datetime) -> None:
    """R122: whether it was kept as an instant or as its text."""
    assert (
        formats.as_markdown(distinct(issued_at=issued)).splitlines()[2]
        == "Issued, version 12, 2026-10-04T16:40:00Z"
    )


def test_what_people_wrote_begins_no_formula_and_no_heading() -> None:
    """R134, R135, R136: one line each, in both files."""
    issue = {"change": "CR-2026-09-08-002", "n": 1, "severity": "P0", "summary": "=1 | a\n## b <i>"}
    report = distinct(issues=[issue], improvements=["+1 |  c"], lessons=["-1 <d"])
    told = formats.as_markdown(report).splitlines()
    start = told.index("### Issues and Improvements")
    assert told[start + 1 : start + 4] == [
        r"- Issue, P0, CR-2026-09-08-002: =1 \| a ## b &lt;i>",
        r"- Improvement: +1 \| c",
        "- Lesson learned: -1 &lt;d",
    ]
    said = [row for row in rows(report) if row[0] in ("Issues", "Improvements", "Lessons")]
    assert said == [
        ["Issues", "CR-2026-09-08-002 #1 P0", "'=1 | a\n## b <i>"],
        ["Improvements", "", "'+1 |  c"],
        ["Lessons", "", "'-1 <d"],
    ]
    strange = [
        row for row in rows(distinct(issues=[issue | {"change": "=A1"}])) if row[0] == "Issues"
    ]
    assert strange == [["Issues", "'=A1 #1 P0", "'=1 | a\n## b <i>"]]


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, ""),
        (0, "0"),
        (-1, "-1"),
        (-1.5, "-1.5"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\u200b=1", "'\u200b=1"),
        (" \n=1", "' \n=1"),
        ("\uff0b1", "'\uff0b1"),
        ("1=1", "1=1"),
        ("1 ", "1 "),
        ("1=", "1="),
        ("", ""),
    ],
)
def test_no_cell_is_taken_for_a_formula(value: Any, cell: str) -> None:
    """R134, R135, R136: what begins like one, also behind what spreadsheets overlook, gets an
    apostrophe; numbers stay numbers.
    """
    assert formats.safe_cell(value) == cell
