"""A later version of a report says what moved, and the earlier ones stay (X35, A31)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from changemgmt.tick import tick
from tests.reports import month, pages
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]
GOLDEN = Path(__file__).parent / "golden"
REPORT = "/reports/monthly/2026-10"


@pytest.fixture
def second(october: None, desk: Sit, at: Any) -> None:
    """Issued on the 3rd; on the 4th an issue turns out to be older than the P2, one is resolved.

    MTTR then is (20 + 1440) / 2 = 730.0; nothing is open; no successful change caused an issue.
    """
    at("2026-11-03T00:00Z")
    tick()
    at("2026-11-04T09:00Z")
    desk("oncall").patch(f"/changes/{month.P2}/issues/1", {"link": "fixed_by"})
    desk("oncall").patch(f"/changes/{month.P3}/issues/1", {"resolved_at": "2026-10-14T02:24Z"})
    tick()


def moved(desk: Sit) -> dict[str, dict[str, Any]]:
    """Line -> what is said of it; a line within a line goes by the outer one's name."""
    told = desk("manager").get(f"{REPORT}.json")["moved"]
    return {entry["line"].split(".")[0]: entry for entry in told}


def test_a_second_version_names_every_line_that_moved(second: None, desk: Sit) -> None:
    """R152, A31: also the lists and the lines beside; what each was and is, and its events."""
    assert desk("manager").get(f"{REPORT}.json")["version"] == 2
    told = moved(desk)
    assert set(told) == {"caused_issue", "mttr_minutes", "open_issues", "issues"}
    assert (told["mttr_minutes"]["from"], told["mttr_minutes"]["to"]) == (25.0, 730.0)
    assert (told["caused_issue"]["from"], told["caused_issue"]["to"]) == (1, 0)
    for entry in told.values():
        assert entry["events"], entry["line"]


def test_a_third_version_names_what_moved_since_the_second(
    second: None,
    desk: Sit,
    at: Any,
) -> None:
    """R152, A31: a severity alone moves the list of issues, and nothing else."""
    at("2026-11-05T09:00Z")
    desk("oncall").patch(f"/changes/{month.P3}/issues/1", {"severity": "P2"})
    tick()
    assert desk("manager").get(f"{REPORT}.json")["version"] == 3
    assert set(moved(desk)) == {"issues"}


def test_the_first_version_has_moved_nothing(october: None, desk: Sit, at: Any) -> None:
    """R152, A31: there is nothing before it."""
    at("2026-11-03T00:00Z")
    tick()
    assert desk("manager").get(f"{REPORT}.json")["moved"] == []


def test_every_version_stays_readable_by_api(second: None, desk: Sit) -> None:
    """R152, A31: the first as it was, the second as it is; there never was a third."""
    first = desk("manager").get(f"{REPORT}.json?version=1")
    first.pop("moved", None)
    assert first == json.loads((GOLDEN / "october-2026.json").read_text(encoding="utf-8"))
    assert desk("manager").get(f"{REPORT}.json?version=2")["mttr_minutes"] == 730.0
    desk("manager").get(f"{REPORT}.json?version=3", expect=404)


def test_every_version_stays_readable_as_a_file(second: None, desk: Sit) -> None:
    """R152, A31: what was sent to management can be had again, letter by letter."""
    golden = (GOLDEN / "october-2026.md").read_text(encoding="utf-8")
    assert desk("manager").get(f"{REPORT}.md?version=1") == golden


def test_every_version_stays_readable_as_a_page(second: None, desk: Sit) -> None:
    """R152, A31."""
    for version, mttr in ((1, "25.0 min"), (2, "730.0 min")):
        page = pages.read(desk("manager"), f"/reports/2026-10/?version={version}")
        said = dict(pages.figures(page))
        assert said["MTTR detected to resolved, caused by a change"] == mttr
        assert f"Issued, version {version}" in page.text
    pages.read(desk("manager"), "/reports/2026-10/?version=3", status=404)
