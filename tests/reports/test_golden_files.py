"""The monthly report as it is read: Markdown, CSV and JSON against texts written by hand.

The files in `golden/` were typed from the document's template and from the story in `month.py`, and
are mended by hand when the document changes; nothing writes them. `distinct.*` is a month that
never was, with another number at every line, so that no line can carry its neighbour's figure.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from changemgmt.tick import tick
from reports import formats
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]
GOLDEN = Path(__file__).parent / "golden"
ISSUED = "2026-11-03T00:00Z"

#: The document's own report, line by line, filled in for October 2026.
TEMPLATE = [
    "## Monthly Change Report - October 2026",
    "### Summary",
    "- Total Changes: 4",
    "- Successful Changes: 2 (50.0%)",
    "- Rolled Back Changes: 1 (25.0%)",
    "- Emergency Changes: 1",
    "### Change Categories",
    "- P0 Emergency: 1",
    "- P1 Standard: 1",
    "- P2 Standard: 1",
    "- P3 Normal: 1",
    "### Performance Metrics",
    "- Average Lead Time: 3.9 days",
    "- Average Implementation Time: 45.5 minutes",
    "- MTTR: 25.0 minutes",
    "### Issues and Improvements",
    "- Issue, P2, CR-2026-10-01-001: Prices were missing in the results",
    "- Issue, P1, CR-2026-10-01-002: Pictures answer 404",
    "- Issue, P3, CR-2026-10-10-001: Alerts arrive twice",
    "- Improvement: The smoke tests now place one order per region.",
    "- Lesson learned: The index takes four minutes to warm up.",
    "- Lesson learned: -DryRun first: it shows what would go.",
]


def golden(name: str) -> str:
    return (GOLDEN / name).read_text(encoding="utf-8")


def golden_json(name: str) -> dict[str, Any]:
    return dict(json.loads(golden(name)))


def report(desk: Sit, suffix: str, month: str = "2026-10") -> Any:
    """The report as the manager gets it; what later versions moved is not part of the month."""
    answer = desk("manager").get(f"/reports/monthly/{month}.{suffix}")
    if isinstance(answer, dict):
        answer.pop("moved", None)
    return answer


def lines_of_csv(text: str) -> str:
    """CSV in the golden file's way: without its mark, its rows ended as RFC 4180 has it."""
    rows = text.removeprefix("\ufeff").split("\r\n")
    assert rows.pop() == "", "the last row is ended, too"
    assert not any("\n" in row for row in rows)
    return "\n".join(rows) + "\n"


# --- October ----------------------------------------------------------------------------------


def test_october_in_markdown(october: None, desk: Sit, at: Any) -> None:
    """R122, R123, R124, R125, R126, R127, R128, R129, R130, R131, R132, R133, R134, R135, R136."""
    at(ISSUED)
    tick()
    assert report(desk, "md").splitlines() == golden("october-2026.md").splitlines()
    assert report(desk, "md") == golden("october-2026.md")


def test_the_documents_lines_stand_in_its_order(october: None, desk: Sit, at: Any) -> None:
    """R122, R123, R124, R125, R126, R127, R128, R129, R130, R131, R132, R133, R134, R135, R136."""
    at(ISSUED)
    told = report(desk, "md").splitlines()
    assert [line for line in told if line in TEMPLATE] == TEMPLATE
    assert told[0] == TEMPLATE[0]


def test_october_as_csv(october: None, desk: Sit, at: Any) -> None:
    """R122, R123, R124, R125, R126, R127, R128, R129, R130, R131, R132, R133, R134, R135, R136."""
    at(ISSUED)
    tick()
    text = lines_of_csv(report(desk, "csv"))
    assert text.splitlines() == golden("october-2026.csv").splitlines()
    assert text == golden("october-2026.csv")


def test_october_as_json(october: None, desk: Sit, at: Any) -> None:
    """R122, R123, R124, R125, R126, R127, R128, R129, R130, R131, R132, R133, R134, R135, R136."""
    at(ISSUED)
    tick()
    assert report(desk, "json") == golden_json("october-2026.json")


def test_the_three_say_what_they_are(october: None, desk: Sit, at: Any) -> None:
    """R152: each with its type, in UTF-8; a month that has not begun has none."""
    at(ISSUED)
    client = desk("manager").client
    client.force_login(desk("manager").user)
    types = {
        "md": "text/markdown; charset=utf-8",
        "csv": "text/csv; charset=utf-8",
        "json": "application/json; charset=utf-8",
    }
    for suffix, kind in types.items():
        answer = client.get(f"/api/v1/reports/monthly/2026-10.{suffix}")
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, kind)
        assert client.get(f"/api/v1/reports/monthly/2026-12.{suffix}").status_code == 404


@pytest.mark.parametrize(
    ("instant", "status", "version", "issued_at"),
    [
        ("2026-10-31T23:59:59Z", "preliminary", 0, None),
        ("2026-11-01T00:00:00Z", "preliminary", 1, None),
        ("2026-11-02T23:59:59Z", "preliminary", 1, None),
        ("2026-11-03T00:00:00Z", "issued", 1, "2026-11-03T00:00:00Z"),
    ],
)
def test_it_is_preliminary_from_the_first_and_issued_on_the_third(
    october: None, desk: Sit, at: Any, instant: str, status: str, version: int, issued_at: str
) -> None:
    """R152, A31: by the clock, one second either side; the figures of the four are the same."""
    at(instant)
    tick()
    told = report(desk, "json")
    assert (told["status"], told["version"], told["issued_at"]) == (status, version, issued_at)
    heading = f"{status.capitalize()}, version {version}" + (f", {issued_at}" if issued_at else "")
    assert report(desk, "md").splitlines()[2] == heading
    assert report(desk, "csv").splitlines()[0].endswith(f'"version {version}","{status}"')
    same = ("total", "successful", "mttr_minutes", "average_lead_time_days", "changes")
    assert [told[name] for name in same] == [golden_json("october-2026.json")[n] for n in same]


def test_only_the_change_manager_issues_it_earlier_and_not_before_its_end(
    october: None,
    desk: Sit,
    at: Any,
) -> None:
    """A31: refused a second before the month is over, done at its end."""

    def issue(who: str) -> int:
        client = desk(who).client
        client.force_login(desk(who).user)
        return int(client.post("/reports/2026-10/issue").status_code)

    at("2026-10-31T23:59:59Z")
    assert issue("change-manager") == 409
    at("2026-11-01T00:00:00Z")
    assert [issue(who) for who in ("manager", "auditor", "engineer", "cto")] == [403] * 4
    assert report(desk, "json")["status"] == "preliminary"
    assert issue("change-manager") == 302
    told = report(desk, "json")
    assert (told["status"], told["issued_at"]) == ("issued", "2026-11-01T00:00:00Z")


# --- every figure at its own line -------------------------------------------------------------


def test_every_figure_stands_at_its_own_line_of_the_markdown() -> None:
    """R123, R124, R125, R126, R127, R128, R129, R130, R131, R132, R133, R134, R135, R136."""
    told = formats.as_markdown(golden_json("distinct.json"))
    assert told.splitlines() == golden("distinct.md").splitlines()


def test_every_figure_stands_at_its_own_row_of_the_csv() -> None:
    """R123, R124, R125, R126, R127, R128, R129, R130, R131, R132, R133, R134, R135, R136."""
    told = lines_of_csv(formats.as_csv(golden_json("distinct.json")))
    assert told.splitlines() == golden("distinct.csv").splitlines()


def test_a_month_with_nothing_has_dashes_where_nothing_is_averaged(desk: Sit, at: Any) -> None:
    """R122, R123, R124, R131, R133, A8, A9: the report of a month in which nothing happened."""
    at("2026-04-01T00:00Z")
    assert report(desk, "md", "2026-03").splitlines() == golden("nothing.md").splitlines()
    table = csv.reader(io.StringIO(report(desk, "csv", "2026-03")))
    rows = {(section, line): value for section, line, value in table}
    assert rows["Summary", "Successful Changes, %"] == ""
    assert rows["Performance Metrics", "MTTR, minutes"] == ""
    assert rows["Summary", "Total Changes"] == "0"


# --- texts that people wrote ------------------------------------------------------------------


def written(text: str) -> dict[str, Any]:
    """A report whose one issue, improvement and lesson say that."""
    told = golden_json("distinct.json")
    told["issues"] = [told["issues"][0] | {"summary": text}]
    return told | {"improvements": [text], "lessons": [text]}


def test_a_text_of_several_lines_stays_on_its_line_of_the_markdown() -> None:
    """R134, R135, R136: nothing that was written begins a heading, a row of a table or a tag."""
    told = formats.as_markdown(written("Ask | tell\n## all <b>\r\n- now")).splitlines()
    assert [line for line in told if "Ask" in line] == [
        r"- Issue, P0, CR-2026-09-08-002: Ask \| tell ## all &lt;b> - now",
        r"- Improvement: Ask \| tell ## all &lt;b> - now",
        r"- Lesson learned: Ask \| tell ## all &lt;b> - now",
    ]


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"), ("+1", "'+1"), ("-1", "'-1"), ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"), ("\r=1", "'\r=1"), (" =1", "' =1"), ('"=1', "'\"=1"), ("'=1", "''=1"),
        ("\u3000=1", "'\u3000=1"),
        ("1=1", "1=1"), ("a-b", "a-b"), ("Wait, then =1", "Wait, then =1"), ("", ""),
    ],
)  # fmt: skip
def test_no_cell_of_the_csv_is_taken_for_a_formula(text: str, cell: str) -> None:
    """R134, R135, R136, F46: what begins like a formula gets an apostrophe, all else stays."""
    found = list(csv.reader(io.StringIO(formats.as_csv(written(text)), newline="")))
    said = [row[2] for row in found if row[0] in ("Issues", "Improvements", "Lessons")]
    assert said == [cell] * 3


def test_a_figure_below_nought_is_a_number_and_no_formula() -> None:
    """F46: numbers are no text; they are left as they are."""
    assert formats.safe_cell(-1.5) == "-1.5"
    assert formats.safe_cell(None) == ""
