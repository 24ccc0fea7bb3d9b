"""The report as CSV and Markdown, in the document's form (R122-R136)."""

from __future__ import annotations

import csv
import io
from typing import Any

from accounts.models import User
from language.say import iso
from reports.process_exceptions import EXCEPTIONS
from requests.models import ChangeRequest

OUTCOME_LINES = (
    ("successful", "Successful"),
    ("rolled_back", "Rolled back"),
    ("failed", "Failed, not rolled back"),
)
CLOCK_LINES = (
    ("average_lead_time_days", "Average lead time, days"),
    ("average_implementation_minutes", "Average implementation time, minutes"),
    ("mttr_minutes", "MTTR, minutes"),
)
#: What spreadsheets take for the beginning of a formula, full-width forms too.
FORMULA = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
    "\uff1d",
    "\uff0b",
    "\uff0d",
    "\uff20",
    "\u2212",
    "\ufe62",
    "\ufe63",
    "\ufe66",
    "\ufe6b",
)
IGNORED = " \u00a0\u3000\u200b\ufeff\"'\n"  # before which a formula is one all the same
BYTE_ORDER_MARK = "\ufeff"  # without it Excel reads UTF-8 as something else


def visible(report: dict[str, Any], user: User) -> dict[str, Any]:
    """The report for this person: confidential changes are counted, but not named to those who
    cannot open them (A8).
    """
    numbers = report["changes"]
    seen = set(
        ChangeRequest.objects.visible_to(user)
        .filter(number__in=numbers)
        .values_list("number", flat=True)
    )
    hidden = len(numbers) - len(seen)
    moved = [
        (
            line | {side: _seen(line[side], user) for side in ("from", "to")}
            if line["line"] == "changes"
            else line
        )
        for line in report["moved"]
    ]
    return report | {
        "changes": [n for n in numbers if n in seen],
        "confidential": hidden,
        "moved": moved,
    }


def _seen(numbers: list[str], user: User) -> list[str]:
    return list(
        ChangeRequest.objects.visible_to(user)
        .filter(number__in=numbers or [])
        .order_by("number")
        .values_list("number", flat=True)
    )


def safe_cell(value: Any) -> str:
    """A cell that no spreadsheet takes for a formula."""
    text = "" if value is None else str(value)
    return (
        f"'{text}"
        if text.lstrip(IGNORED).startswith(FORMULA) and not isinstance(value, (int, float))
        else text
    )


def lines(report: dict[str, Any]) -> list[tuple[str, str, Any]]:
    """(section, line, value) in the document's order."""
    return [
        ("Summary", "Total Changes", report["total"]),
        ("Summary", "Successful Changes", report["successful"]["count"]),
        ("Summary", "Successful Changes, %", report["successful"]["percent"]),
        ("Summary", "of which caused an issue", report["caused_issue"]),
        ("Summary", "Rolled Back Changes", report["rolled_back"]["count"]),
        ("Summary", "Rolled Back Changes, %", report["rolled_back"]["percent"]),
        ("Summary", "Failed, not rolled back", report["failed"]["count"]),
        ("Summary", "Failed, not rolled back, %", report["failed"]["percent"]),
        ("Summary", "Emergency Changes", report["emergency"]),
        ("Change Categories", "P0 Emergency", report["by_priority"]["P0"]),
        ("Change Categories", "P1 Standard", report["by_priority"]["P1"]),
        ("Change Categories", "P2 Standard", report["by_priority"]["P2"]),
        ("Change Categories", "P3 Normal", report["by_priority"]["P3"]),
        ("Performance Metrics", "Average Lead Time, days", report["average_lead_time_days"]),
        (
            "Performance Metrics",
            "of which in a freeze, days",
            report.get("average_lead_time_in_freeze_days"),
        ),
        (
            "Performance Metrics",
            "Average Implementation Time, minutes",
            report["average_implementation_minutes"],
        ),
        ("Performance Metrics", "MTTR, minutes", report["mttr_minutes"]),
        *_apart(report),
        *(("Exceptions", label, report["exceptions"][name]) for name, label in EXCEPTIONS.items()),
        ("Beside the total", "Rejected", report["rejected"]),
        ("Beside the total", "Cancelled", report["cancelled"]),
    ]


def _apart(report: dict[str, Any]) -> list[tuple[str, str, Any]]:
    """Issues still open, and the figures of emergencies by themselves (A9)."""
    open_issues, urgent = report.get("open_issues") or {}, report.get("emergencies") or {}
    return [
        ("Performance Metrics", "Issues open at the month's end", open_issues.get("count")),
        ("Performance Metrics", "Oldest open issue, days", open_issues.get("oldest_days")),
        ("Emergencies apart", "Total", urgent.get("total")),
        *(
            ("Emergencies apart", label, (urgent.get(name) or {}).get("count"))
            for name, label in OUTCOME_LINES
        ),
        *(("Emergencies apart", label, urgent.get(name)) for name, label in CLOCK_LINES),
    ]


def as_csv(report: dict[str, Any]) -> str:
    """The report as rows of section, line and value, safe to open in a spreadsheet."""
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow([report["title"], f"version {report['version']}", report["status"]])
    writer.writerow(["section", "line", "value"])
    for row in lines(report):
        writer.writerow([safe_cell(cell) for cell in row])
    for issue in report["issues"]:
        writer.writerow(
            [
                "Issues",
                safe_cell(f"{issue['change']} #{issue['n']} {issue['severity']}"),
                safe_cell(issue["summary"]),
            ]
        )
    for name in ("improvements", "lessons"):
        for text in report[name]:
            writer.writerow([name.capitalize(), "", safe_cell(text)])
    for number in report["changes"]:
        writer.writerow(["Changes", number, ""])
    return out.getvalue()


def as_markdown(report: dict[str, Any]) -> str:
    """The document's own template, filled in."""
    issued = report.get("issued_at")
    when = f", {issued if isinstance(issued, str) else iso(issued)}" if issued else ""
    sections = [
        ("Summary", _summary(report)),
        ("Change Categories", _categories(report)),
        ("Performance Metrics", _performance(report)),
        ("Issues and Improvements", _issues(report)),
        (
            "Exceptions",
            [f"- {label}: {report['exceptions'][k]}" for k, label in EXCEPTIONS.items()],
        ),
    ]
    rows = [f"## {report['title']}", ""]
    rows += [f"{report['status'].capitalize()}, version {report['version']}{when}", ""]
    for title, lines in sections:
        rows += [f"### {title}", *lines, ""]
    beside = f"Beside the total: rejected {report['rejected']}, cancelled {report['cancelled']}."
    return "\n".join([*rows, beside, ""])


def _share(value: dict[str, Any]) -> str:
    return f"{value['count']} ({_figure(value['percent'])}%)"


def _figure(value: Any) -> str:
    return "–" if value is None else str(value)


def _summary(report: dict[str, Any]) -> list[str]:
    return [
        f"- Total Changes: {report['total']}",
        f"- Successful Changes: {_share(report['successful'])}",
        f"  - of which caused an issue: {report['caused_issue']}",
        f"- Rolled Back Changes: {_share(report['rolled_back'])}",
        f"- Failed, not rolled back: {_share(report['failed'])}",
        f"- Emergency Changes: {report['emergency']}",
    ]


def _categories(report: dict[str, Any]) -> list[str]:
    names = {"P0": "Emergency", "P1": "Standard", "P2": "Standard", "P3": "Normal"}
    return [f"- {key} {name}: {report['by_priority'][key]}" for key, name in names.items()]


def _performance(report: dict[str, Any]) -> list[str]:
    frozen = report.get("average_lead_time_in_freeze_days")
    took = _figure(report["average_implementation_minutes"])
    apart = [
        f"- {'' if section == 'Performance Metrics' else f'{section}: '}{label}: {_figure(value)}"
        for section, label, value in _apart(report)
    ]
    return [
        f"- Average Lead Time: {_figure(report['average_lead_time_days'])} days",
        f"  - of which in a freeze: {_figure(frozen)} days",
        f"- Average Implementation Time: {took} minutes",
        f"- MTTR: {_figure(report['mttr_minutes'])} minutes",
        *apart,
    ]


def _issues(report: dict[str, Any]) -> list[str]:
    issues = [
        f"- Issue, {issue['severity']}, {issue['change']}: {_line(issue['summary'])}"
        for issue in report["issues"]
    ]
    return [
        *(issues or ["- No issues were recorded."]),
        *[f"- Improvement: {_line(text)}" for text in report["improvements"]],
        *[f"- Lesson learned: {_line(text)}" for text in report["lessons"]],
    ]


def _line(text: str) -> str:
    """One line of Markdown that cannot begin anything else."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
