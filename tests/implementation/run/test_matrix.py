"""The rollback decision matrix: what to do, and how long there is (R100, R101, R102, R103, A10)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from implementation.matrix import MATRIX
from implementation.models import Issue
from notifications.models import Message
from pages.change.timing import clocks
from requests.models import ChangeRequest
from tests.implementation.road import Road, Sit, later

pytestmark = pytest.mark.django_db
DETECTED = "2026-10-06T02:04:00Z"
#: severity → (label, the minutes after which its band ends, what the document prescribes)
TABLE = {
    "P0": ("P0 Critical", 5, "Immediate rollback"),
    "P1": ("P1 High", 15, "Investigate, rollback if no quick fix"),
    "P2": ("P2 Medium", 30, "Investigate, consider rollback"),
    "P3": ("P3 Low", None, "Investigate, fix forward"),
}
ROWS = [(severity, *row) for severity, row in TABLE.items()]


def test_the_matrix_is_the_documents() -> None:
    """R100, R101, R102, R103: four rows in the document's order, word for word."""
    found = {key: (row.label, row.minutes, row.action) for key, row in MATRIX.items()}
    assert list(found.items()) == list(TABLE.items())


#: severity → what the API answers for one that was detected at 02:04
ANSWERS = [
    ("P0", "Immediate rollback", "2026-10-06T02:09:00Z"),
    ("P1", "Investigate, rollback if no quick fix", "2026-10-06T02:19:00Z"),
    ("P2", "Investigate, consider rollback", "2026-10-06T02:34:00Z"),
    ("P3", "Investigate, fix forward", None),
]


@pytest.mark.parametrize("priority", ["P3", "P2", "P0"])
def test_an_issue_says_what_to_do_and_until_when(desk: Sit, road: Road, priority: str) -> None:
    """R100, R101, R102, R103, A10: by the issue's severity, whatever the change's priority."""
    number = road.implementing(priority)
    road.at("2026-10-06T02:06:00Z")
    for n, (severity, action, ends) in enumerate(ANSWERS, start=1):
        body = {"severity": severity, "summary": "Search is slow", "detected_at": DETECTED}
        assert desk("devops").post(f"/changes/{number}/issues", body, expect=201) == {
            "n": n,
            "severity": severity,
            "summary": "Search is slow",
            "link": "caused_by",
            "detected_at": DETECTED,
            "resolved_at": None,
            "prescribed_action": action,
            "band_ends_at": ends,
        }
    listed = desk("auditor").get(f"/changes/{number}/issues")["items"]
    found = [(item["severity"], item["prescribed_action"], item["band_ends_at"]) for item in listed]
    assert found == ANSWERS


def test_the_band_runs_from_the_detection_not_from_the_entry(desk: Sit, road: Road) -> None:
    """A10: minutes since it was detected; another severity, another action and another end."""
    number = road.implementing()
    road.at("2026-10-06T02:20:00Z")
    body = {"severity": "P0", "summary": "Search is down", "detected_at": DETECTED}
    desk("devops").post(f"/changes/{number}/issues", body, expect=201)
    for severity, action, ends in ANSWERS[1:]:
        now = desk("devops").patch(f"/changes/{number}/issues/1", {"severity": severity})
        assert (now["prescribed_action"], now["band_ends_at"]) == (action, ends)
    moved = {"severity": "P0", "detected_at": "2026-10-06T02:10:00Z"}
    now = desk("devops").patch(f"/changes/{number}/issues/1", moved)
    assert now["prescribed_action"] == "Immediate rollback"
    assert now["band_ends_at"] == "2026-10-06T02:15:00Z"


def test_an_issue_without_an_instant_was_detected_now(desk: Sit, road: Road) -> None:
    """A10: now, to the second."""
    number = road.implementing()
    road.at("2026-10-06T02:04:07Z")
    body = {"severity": "P0", "summary": "Search is down"}
    found = desk("devops").post(f"/changes/{number}/issues", body, expect=201)
    assert found["detected_at"] == "2026-10-06T02:04:07Z"
    assert found["band_ends_at"] == "2026-10-06T02:09:07Z"


@pytest.mark.parametrize(("severity", "label", "minutes", "action"), ROWS[:3])
def test_a_band_is_over_at_its_end_and_not_a_second_before(
    severity: str,
    label: str,
    minutes: int,
    action: str,
) -> None:
    """A10: half-open, [0, 5), [5, 15), [15, 30): at its end it is over."""
    detected = datetime(2026, 10, 6, 2, 4, tzinfo=UTC)
    change = ChangeRequest(state="implementing")
    issue = Issue(severity=severity, detected_at=detected)
    second = timedelta(seconds=1)
    seen = {}
    for name, now in (
        ("at once", detected),
        ("a second before", detected + timedelta(minutes=minutes) - second),
        ("at its end", detected + timedelta(minutes=minutes)),
    ):
        (clock,) = clocks(change, [issue], now)
        assert (clock.title, clock.note) == (f"{severity} issue, time left", f"{action}; until")
        assert clock.at == detected + timedelta(minutes=minutes)
        seen[name] = clock.overdue
    assert seen == {"at once": False, "a second before": False, "at its end": True}


def test_a_p3_issue_has_no_clock_and_a_resolved_one_has_none_either() -> None:
    """R103, A10: [30, ∞) has no end."""
    detected = datetime(2026, 10, 6, 2, 4, tzinfo=UTC)
    change = ChangeRequest(state="implementing")
    low = Issue(severity="P3", detected_at=detected)
    resolved = Issue(severity="P0", detected_at=detected, resolved_at=detected)
    assert clocks(change, [low, resolved], detected + timedelta(days=1)) == []


def test_the_page_counts_each_band_down_and_says_the_action(desk: Sit, road: Road) -> None:
    """R100, R101, R102, R103, promise 8: a clock with its end but for P3; the action for each."""
    number = road.implementing()
    road.at("2026-10-06T02:09:00Z")
    for severity in ("P0", "P1", "P2", "P3"):
        body = {"severity": severity, "summary": f"A {severity}", "detected_at": DETECTED}
        desk("devops").post(f"/changes/{number}/issues", body, expect=201)
    shown = road.page(number)
    clock = re.compile(r'([\w -]*)"><h3>.*?(P\d) issue, time left</h3>.*?<p>(.*?) UTC</p>')
    clocks_shown = [clock.match(part) for part in shown.split('<section class="clock ')]
    assert [found.groups() for found in clocks_shown if found] == [
        ("tone-danger is-overdue", "P0", "Immediate rollback; until 02:09"),
        ("tone-warn is-warning", "P1", "Investigate, rollback if no quick fix; until 02:19"),
        ("tone-warn is-warning", "P2", "Investigate, consider rollback; until 02:34"),
    ]
    assert re.findall(r"<b>(\d\. P\d \w+):</b> A P\d<br>([\w, ]*)\.", shown) == [
        ("1. P0 Critical", "Immediate rollback"),
        ("2. P1 High", "Investigate, rollback if no quick fix"),
        ("3. P2 Medium", "Investigate, consider rollback"),
        ("4. P3 Low", "Investigate, fix forward"),
    ]


def test_whoever_opens_an_issue_chooses_by_the_matrix(road: Road) -> None:
    """R100, R101, R102, R103: the form says what each severity asks for."""
    select = road.page(road.implementing()).split('id="issue-severity"')[1].split("</select>")[0]
    assert re.findall(r'<option value="(P\d)"[^>]*>(.*?)</option>', select) == [
        ("P0", "P0 Critical: immediate rollback"),
        ("P1", "P1 High: investigate, rollback if no quick fix"),
        ("P2", "P2 Medium: investigate, consider rollback"),
        ("P3", "P3 Low: investigate, fix forward"),
    ]


@pytest.mark.parametrize(("severity", "label", "minutes", "action"), ROWS)
def test_the_people_of_the_change_are_told_what_is_prescribed(
    desk: Sit,
    road: Road,
    severity: str,
    label: str,
    minutes: int | None,
    action: str,
) -> None:
    """R117, R100, R101, R102, R103: implementer and requester at once, whoever opened it not."""
    number = road.implementing()
    body = {"severity": severity, "summary": "Slow"}
    desk("oncall").post(f"/changes/{number}/issues", body, expect=201)
    told = Message.objects.filter(kind="issue").order_by("recipient__username")
    assert [message.recipient.username for message in told] == ["devops", "engineer"]
    for message in told:
        assert message.subject == f"{number}: {label} issue: Slow"
        assert message.body.startswith(f"{action}. “Search: refresh")


def test_an_issue_that_is_still_to_come_is_refused(desk: Sit, road: Road) -> None:
    """A10: a detection up to five minutes ahead is a clock that differs, and counts as now."""
    number = road.implementing()
    road.at(DETECTED)
    body = {"severity": "P0", "summary": "x", "detected_at": later(DETECTED, minutes=5)}
    kept = desk("devops").post(f"/changes/{number}/issues", body, expect=201)
    assert kept["detected_at"] == DETECTED
    body["detected_at"] = later(DETECTED, minutes=5, seconds=1)
    refusal = desk("devops").post(f"/changes/{number}/issues", body, expect=422)
    assert [error["field"] for error in refusal["errors"]] == ["detected_at"]
