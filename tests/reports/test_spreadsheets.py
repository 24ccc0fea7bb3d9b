"""What a spreadsheet makes of the CSV, what is said twice, times within events (X37)."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from changemgmt.tick import tick
from reports import formats
from tests.reports import month, pages
from tests.reports.test_golden_files import written
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]
INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")
MARK = b"\xef\xbb\xbf"


def file(desk: Sit, address: str) -> bytes:
    client = desk("auditor").client
    client.force_login(desk("auditor").user)
    answer = client.get(address)
    assert answer.status_code == 200, address
    return bytes(answer.getvalue())


@pytest.mark.parametrize(
    "address",
    ["/api/v1/reports/monthly/2026-10.csv", "/changes/export.csv"],
)
def test_a_csv_begins_with_a_byte_order_mark(desk: Sit, at: Any, address: str) -> None:
    """R152: or Excel reads a dash as three letters; once, and nowhere else in the file."""
    at("2026-10-31T12:00Z")
    told = file(desk, address)
    assert told.startswith(MARK)
    assert told.count(MARK) == 1


@pytest.mark.parametrize("first", ["＝", "＋", "－", "＠", " ＝", "\u3000＝", '"＝'])
def test_a_cell_that_begins_with_a_full_width_sign_is_made_safe(first: str) -> None:
    """R134, R135, R136, F46: some spreadsheets take U+FF1D and its kin for what they look like."""
    told = formats.as_csv(written(f"{first}1+1")).removeprefix("\ufeff")
    rows = csv.reader(io.StringIO(told, newline=""))
    said = [row[2] for row in rows if row[0] in ("Issues", "Improvements", "Lessons")]
    assert said == [f"'{first}1+1"] * 3


def test_the_export_of_changes_is_as_safe(desk: Sit, at: Any) -> None:
    """F46: one writer of cells for every export."""
    at("2026-10-01T09:00Z")
    desk("engineer").create("P3", summary="＝1+1")
    assert "'＝1+1" in file(desk, "/changes/export.csv").decode()


def test_what_several_reviews_say_alike_is_listed_once(desk: Sit, at: Any) -> None:
    """R135, R136: in the order in which it was first said, by file, API and page."""
    said = (("Order by region", "Warm it"), ("Call first", "Warm it"), ("Order by region", ""))
    for improvement, lesson in said:
        number = month.failed_emergency(desk, at, "2026-10-07T09:00Z", "2026-10-07T10:00Z")
        month.reviewed(desk, number, improvements=improvement, lessons=lesson)
    told = desk("manager").get("/reports/monthly/2026-10.json")
    assert told["improvements"] == ["Order by region", "Call first"]
    assert told["lessons"] == ["Warm it"]
    markdown = desk("manager").get("/reports/monthly/2026-10.md")
    assert markdown.count("- Improvement: Order by region") == 1
    assert desk("manager").get("/reports/monthly/2026-10.csv").count('"Warm it"') == 1
    assert pages.read(desk("manager"), "/reports/2026-10/").text.count("Order by region") == 1


def instants(value: Any) -> Iterator[str]:
    """Every text within an event's data that says an instant."""
    match value:
        case dict():
            for inner in value.values():
                yield from instants(inner)
        case list():
            for inner in value:
                yield from instants(inner)
        case str() if INSTANT.match(value):
            yield value


def test_times_inside_events_are_whole_seconds_in_utc_with_a_z(desk: Sit, at: Any) -> None:
    """R149: bookings, issues, deadlines, rules; also where the clock stood between two seconds."""
    at("2026-10-01T09:00:00.123456Z")
    month.failed_emergency(
        desk,
        at,
        "2026-10-01T09:00:00.123456Z",
        "2026-10-01T10:00:00.654321Z",
    )
    wanted = {"requested_window": {"start": "2026-10-06T02:00Z"}}
    number = str(desk("engineer").submit("P3", **wanted)["id"])
    month.decided(desk, number)
    desk("engineer").post(f"/changes/{number}/unschedule", {"reason": "Later"})
    span = {"starts": "2026-10-06T12:00Z", "ends": "2026-10-08T00:00Z"}
    freeze = {"kind": "closure", "values": {"name": "a move", "kind": "freeze", **span}}
    desk("change-manager").post("/calendar/rules", {"edits": [freeze], "reason": "Agreed"})
    at("2026-10-02T12:00:00.123456Z")
    tick()
    events = desk("auditor").get("/audit?limit=200")["items"]
    found = {(event["action"], told) for event in events for told in instants(event["data"])}
    said = {action for action, _ in found}
    assert {"change.schedule", "change.unschedule", "calendar.add"} <= said
    whole = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
    assert [entry for entry in sorted(found) if not whole.fullmatch(entry[1])] == []


def test_times_in_the_export_of_changes_are_whole_seconds_in_utc_with_a_z(
    desk: Sit,
    at: Any,
) -> None:
    """R149: as everywhere else."""
    at("2026-10-01T09:00:00.123456Z")
    desk("engineer").submit("P3")
    told = file(desk, "/changes/export.csv").decode()
    assert re.findall(r'"(\d{4}-\d\d-\d\d[T ][^"]*)"', told) == ["2026-10-01T09:00:00Z"] * 2
