"""Calendar rules: what narrows counts at once, what allows more waits for its second person, and
nobody is surprised (items 1 and 2).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.models import Event
from notifications.models import Message
from requests.models import ChangeRequest
from tests.journeys.test_api_walk import approve_p2
from tests.tries import tries
from tests.world import Desk
from windows.calendar.verdict import Calendar, Closure, Window, open_stretches, without
from windows.calendar.widening import widens
from windows.models import MaintenanceWindow, calendar_since

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]


@pytest.fixture(autouse=True)
def october(at: Any) -> None:
    at("2026-10-01T09:00Z")


def rules(desk: Sit) -> dict[str, dict[str, Any]]:
    found = desk("engineer").get("/calendar/rules")
    return {row["name"]: row for row in (*found["windows"], *found["closures"])}


def values(row: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        name: value for name, value in row.items() if name not in ("key", "by", "reason", "since")
    } | more


def edit(desk: Sit, called: str, /, **more: Any) -> dict[str, Any]:
    row = rules(desk)[called]
    return {
        "kind": "window" if "rule" in row else "closure",
        "key": row["key"],
        "values": values(row, **more),
    }


def save(
    desk: Sit,
    *edits: dict[str, Any],
    who: str = "change-manager",
    expect: int = 200,
    reason: str = "As agreed on Monday",
) -> Any:
    return desk(who).post(
        "/calendar/rules", {"edits": list(edits), "reason": reason}, expect=expect
    )


def preview(desk: Sit, *edits: dict[str, Any], expect: int = 200) -> Any:
    return desk("engineer").post("/calendar/rules/preview", {"edits": list(edits)}, expect=expect)


def freeze(name: str, start: str, end: str, **more: Any) -> dict[str, Any]:
    return {
        "kind": "closure",
        "values": {"name": name, "kind": "freeze", "starts": start, "ends": end, **more},
    }


def opening(name: str, begins: str, minutes: int = 120, **more: Any) -> dict[str, Any]:
    return {
        "kind": "window",
        "values": {"name": name, "rule": "", "begins": begins, "minutes": minutes, **more},
    }


def booked(desk: Sit, start: str = "2026-10-06T02:00Z", **more: Any) -> str:
    number = str(desk("engineer").submit("P2", **more)["id"])
    approve_p2(desk, number)
    desk("devops").post(f"/changes/{number}/schedule", {"start": start})
    return number


# --- who, and when it counts ----------------------------------------------------------------------


def test_a_narrowing_counts_at_once_and_is_in_the_trail(desk: Sit) -> None:
    """A27: a new freeze is in force when it is saved; everybody reads it, only the change manager
    saves it, with a reason.
    """
    new = freeze("the move to the new data centre", "2026-10-06T00:00Z", "2026-10-07T00:00Z")
    for who in ("engineer", "devops-lead", "cto", "auditor", "manager"):
        save(desk, new, who=who, expect=403)
    assert "reason" in save(desk, new, reason=" ", expect=422)["detail"].lower()
    assert save(desk, new) == {"applied": True, "proposal": None, "widens": []}
    state = desk("engineer").get("/calendar/state?at=2026-10-06T02:30Z&priority=P2")
    assert (state["open"], state["reasons"][0]["code"], state["rule"]) == (
        False,
        "freeze",
        "the move to the new data centre",
    )
    event = Event.objects.get(action="calendar.add")
    assert event.data["after"]["ends"] == "2026-10-07T00:00:00Z"
    assert event.said["reason"] == "As agreed on Monday"


def test_what_allows_more_waits_for_a_second_person(desk: Sit) -> None:
    """A27: a one-off opening is proposed; it opens once somebody else confirms it, and not
    before.
    """
    answer = save(desk, opening("Catalogue move", "2026-10-10T08:00"))
    assert answer["applied"] is False
    asked = "/calendar/state?at=2026-10-10T08:30Z&priority=P2"
    assert not desk("engineer").get(asked)["open"]
    desk("change-manager").post(f"/proposals/{answer['proposal']}/confirm", expect=403)
    desk("devops-lead").post(f"/proposals/{answer['proposal']}/confirm")
    state = desk("engineer").get(asked)
    assert (
        state["sentence"]
        == "P2 may start on Sat 10 Oct 2026, 08:30 UTC: Catalogue move is open until Sat 10 Oct,"
        " 10:00 UTC."
    )
    row = MaintenanceWindow.objects.get(name="Catalogue move")
    assert (row.made_by.username, row.confirmed_by.username) == ("change-manager", "devops-lead")


@pytest.mark.parametrize(
    ("name", "more", "wider"),
    [
        ("Primary", {"minutes": 150}, True), ("Primary", {"minutes": 90}, False),
        ("Primary", {"priorities": ["P3"]}, False),
        ("Primary", {"rule": "FREQ=WEEKLY;BYDAY=TU,FR"}, True),
        ("Primary", {"rule": "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU"}, False),
        ("Primary", {"zone": "Europe/Berlin"}, True), ("Primary", {"skips": ["2026-10-06"]}, False),
        ("Primary", {"capacity": 4}, False),
        ("Primary", {"scope": ["search"]}, False), ("Primary", {"until": "2027-01-31"}, False),
        ("Primary", {"name": "First"}, False),
        ("the code freeze for Thanksgiving",
            {"first": {"country": "US", "holiday": "Thanksgiving Day", "offset": -7}}, True),
        ("the code freeze for Thanksgiving",
            {"first": {"country": "US", "holiday": "Thanksgiving Day", "offset": -21}}, False),
        ("the code freeze for Thanksgiving", {"admits": ["P0", "P1"]}, True),
        ("the code freeze for Thanksgiving", {"scope": ["search"]}, True),
        ("the code freeze for Thanksgiving", {"kind": "blackout"}, False),
        ("the Black Friday blackout", {"kind": "freeze"}, True),
    ],
)  # fmt: skip
def test_wider_and_narrower_are_told_apart(
    desk: Sit, name: str, more: dict[str, Any], wider: bool
) -> None:
    """A27: longer, oftener, for more, or a freeze that is shorter or weaker takes two; the contrary
    does not.
    """
    change = edit(desk, name, **more)
    assert bool(preview(desk, change)["widens"]) is wider
    assert save(desk, change)["applied"] is not wider


def test_ending_a_rule_is_judged_too(desk: Sit) -> None:
    """A27: a window that goes narrows; a freeze that goes widens."""
    found = rules(desk)
    assert save(desk, {"kind": "window", "key": found["Secondary"]["key"], "values": None})[
        "applied"
    ]
    assert not save(
        desk,
        {"kind": "closure", "key": found["the code freeze for Christmas"]["key"], "values": None},
    )["applied"]
    assert "Secondary" not in rules(desk)
    assert "the code freeze for Christmas" in rules(desk)


def test_somebody_elses_edit_is_not_overwritten(desk: Sit) -> None:
    """Whoever saves an old version is told who was first; a proposal that was overtaken is not
    carried out.
    """
    old = edit(desk, "Primary", minutes=60)
    wide = save(desk, edit(desk, "Primary", minutes=180))["proposal"]
    save(desk, edit(desk, "Primary", minutes=90))
    assert "Noor Rahman edited or ended “Primary”" in save(desk, old, expect=412)["detail"]
    answer = desk("cto").post(f"/proposals/{wide}/confirm", expect=409)
    assert "cannot be carried out any more" in answer["detail"]
    assert rules(desk)["Primary"]["minutes"] == 90


def test_the_past_stays_as_it_was(desk: Sit, at: Any) -> None:
    """Promise 7: an edit begins a new version; last month's windows are still what they were, and
    the calendar API says so.
    """
    at("2026-10-07T09:00Z")
    save(desk, edit(desk, "Primary", minutes=60))
    at("2026-10-20T09:00Z")
    found = desk("engineer").get("/calendar?from=2026-10-01&to=2026-10-31")["windows"]
    lengths = {w["start"][:10]: w["end"][11:16] for w in found if w["name"] == "Primary"}
    assert lengths == {
        "2026-10-06": "04:00",
        "2026-10-13": "03:00",
        "2026-10-20": "03:00",
        "2026-10-27": "03:00",
    }


WRONG = [
    ("window", {"name": ""}, "name"), ("window", {"name": "x" * 81}, "name"),
    ("window", {"name": "Secondary"}, "name"), ("window", {"rule": "FREQ=HOURLY"}, "rule"),
    ("window", {"rule": "FREQ=MINUTELY;BYDAY=TU"}, "rule"),
    ("window", {"rule": "every Tuesday"}, "rule"),
    ("window", {"rule": "FREQ=WEEKLY;COUNT=3"}, "rule"),
    ("window", {"rule": "FREQ=WEEKLY;UNTIL=20270101"}, "rule"),
    ("window", {"rule": "FREQ=WEEKLY;BYHOUR=1,2,3"}, "rule"),
    ("window", {"rule": "FREQ=WEEKLY;BYDAY=XX"}, "rule"),
    ("window", {"rule": "FREQ=WEEKLY;INTERVAL=0"}, "rule"),
    ("window", {"rule": "FREQ=WEEKLY;INTERVAL=99"}, "rule"),
    ("window", {"rule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"}, "rule"),
    ("window", {"rule": "FREQ=WEEKLY;BYDAY=2TU"}, "rule"),
    ("window", {"rule": "FREQ=DAILY;BYSETPOS=2"}, "rule"), ("window", {"rule": 7}, "rule"),
    ("window", {"rule": "FREQ=WEEKLY;FREQ=SECONDLY"}, "rule"),
    ("window", {"minutes": 0}, "minutes"), ("window", {"minutes": 1441}, "minutes"),
    ("window", {"minutes": None}, "minutes"),
    ("window", {"minutes": "long"}, "minutes"), ("window", {"minutes": True}, "minutes"),
    ("window", {"begins": "tomorrow"}, "begins"),
    ("window", {"begins": "2026-10-06T02:00+02:00"}, "begins"),
    ("window", {"begins": "9999-01-01T00:00"}, "begins"),
    ("window", {"zone": "Mars/Olympus"}, "zone"), ("window", {"zone": "../etc/passwd"}, "zone"),
    ("window", {"priorities": []}, "priorities"),
    ("window", {"priorities": ["P0"]}, "priorities"),
    ("window", {"priorities": "P1"}, "priorities"), ("window", {"scope": ["nowhere"]}, "scope"),
    ("window", {"capacity": 0}, "capacity"),
    ("window", {"capacity": -1}, "capacity"), ("window", {"until": "2026-02-30"}, "until"),
    ("window", {"until": "1999-01-01"}, "until"), ("window", {"skips": ["x"]}, "skips"),
    ("window", {"rule": "FREQ=MONTHLY;BYDAY=MO,2TU"}, "rule"),
    ("window", {"rule": "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"}, "rule"),
    ("window", {"rule": "FREQ=WEEKLY;BYDAY=MO;BYSETPOS=5"}, "rule"),
    ("window", {"rule": "FREQ=MONTHLY;BYDAY=MO,TU;BYSETPOS=20"}, "rule"),
    ("window", {"rule": "FREQ=MONTHLY;BYMONTHDAY=30;BYMONTH=2"}, "rule"),
    ("window",
        {"rule": "FREQ=YEARLY;INTERVAL=4;BYMONTH=2;BYMONTHDAY=29", "begins": "2025-01-01T02:00"},
        "rule"),
    ("closure", {"first": {"on": "2026-12-20"}, "last": {"on": "2027-01-05"}}, "last"),
    ("window", {"colour": "red"}, "colour"), ("window", {"name": "a\x00b"}, "body"),
    ("closure", {"kind": "lockdown"}, "kind"), ("closure", {"kind": None}, "kind"),
    ("closure", {"first": None}, "first"), ("closure", {"first": None, "last": None}, "starts"),
    ("closure", {"starts": "2026-10-06T00:00Z"}, "starts"),
    ("closure", {"first": {"month": 13, "day": 1}}, "first"),
    ("closure", {"first": {"month": 2, "day": 30}}, "first"),
    ("closure", {"first": {"country": "US", "holiday": "Black Friday"}}, "first"),
    ("closure", {"first": {"country": "XX", "holiday": "x"}}, "first"),
    ("closure", {"first": {"month": 11, "weekday": 7, "nth": 1}}, "first"),
    ("closure", {"first": {"month": 11, "weekday": 3, "nth": 0}}, "first"),
    ("closure", {"first": {"on": "x"}}, "first"),
    ("closure", {"first": {"month": 1, "day": 1, "offset": 4000}}, "first"),
    ("closure", {"first": "Christmas"}, "first"),
    ("closure", {"first": {"month": True, "day": 1}}, "first"),
    ("closure", {"admits": ["P9"]}, "admits"),
    ("closure", {"first": None, "last": None, "starts": "2026-10-06T00:00Z"}, "ends"),
    ("closure",
        {"first": None, "last": None, "starts": "2026-10-06T00:00Z", "ends": "2026-10-05T00:00Z"},
        "ends"),
    ("closure", {"first": {"on": "2026-12-10"}, "last": {"on": "2026-12-01"}}, "last"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "more", "field"), WRONG, ids=[f"{kind}:{str(more)[:40]}" for kind, more, _ in WRONG]
)
def test_a_wrong_rule_is_refused_at_its_field(
    desk: Sit, kind: str, more: dict[str, Any], field: str
) -> None:
    """F52: sub-daily rules, rules that can never match and every wrong value are told at their
    field; nothing is stored.
    """
    change = edit(
        desk, "Primary" if kind == "window" else "the code freeze for Thanksgiving", **more
    )
    answer = save(desk, change, expect=422)
    told = [error["field"] for error in answer["errors"]]
    assert any(field in name for name in told), answer
    assert all(len(error["message"]) > 10 for error in answer["errors"])
    preview(desk, change, expect=422)
    assert not Event.objects.filter(action__startswith="calendar.").exists()


# --- consequences ---------------------------------------------------------------------------------


def test_the_preview_says_what_would_happen_and_saving_does_it(
    desk: Sit, django_capture_on_commit_callbacks: Any
) -> None:
    """Item 2: occurrences lost, hours by month, the longest time shut, each displaced change with
    its next slot; then exactly that happens.
    """
    moved, kept = booked(desk), booked(desk, "2026-10-08T02:00Z", components=["cdn"])
    p3 = str(
        desk("engineer").submit("P3", components=["message-bus"], requested_date="2026-10-06")["id"]
    )
    desk("tech-lead").decide(p3, "technical")
    desk("devops-lead").decide(p3, "sign_off")
    assert desk("engineer").get(f"/changes/{p3}")["slot"]["start"] == "2026-10-06T02:00:00Z"
    new = freeze("the audit week", "2026-10-05T00:00Z", "2026-10-08T00:00Z")
    found = preview(desk, new)
    assert found["widens"] == []
    (effect,) = found["effects"]
    assert effect["lost"] == [{"start": "2026-10-06T02:00:00Z", "end": "2026-10-06T04:00:00Z"}]
    assert effect["gained"] == []
    october = effect["months"][0]
    assert (october["month"], october["after"]) == ("2026-10", october["before"] - 2.0)
    assert {item["change"]: item["next_start"] for item in found["displaced"]} == {
        moved: "2026-10-08T02:00:00Z",
        p3: "2026-10-08T02:00:00Z",
    }
    with django_capture_on_commit_callbacks(execute=True):
        save(desk, new)
    state = {number: desk("engineer").get(f"/changes/{number}") for number in (moved, kept, p3)}
    assert (state[moved]["state"], state[moved]["slot"]) == ("approved", None)
    assert state[kept]["slot"]["start"] == "2026-10-08T02:00:00Z"
    assert (state[p3]["state"], state[p3]["slot"]["start"]) == ("scheduled", "2026-10-08T02:00:00Z")
    told = Message.objects.filter(kind="displaced")
    assert {message.recipient.username for message in told if moved in message.subject} == {
        "engineer"
    }
    assert "the audit week" in told.filter(subject__contains=moved).get().body
    assert "It is booked again: Thu 8 Oct" in told.filter(subject__contains=p3).get().body


def test_a_rule_that_shuts_everything_for_long_is_said_so_at_once(desk: Sit) -> None:
    """Item 1: more than 30 days shut for a priority, or shut for good, is a warning before anybody
    saves it.
    """
    assert (
        preview(desk, freeze("the spring freeze", "2027-02-01T00:00Z", "2027-03-15T00:00Z"))[
            "warnings"
        ]
        == []
    )
    assert preview(desk, freeze("the long freeze", "2027-02-01T00:00Z", "2027-04-15T00:00Z"))[
        "warnings"
    ] == ["P1, P2, P3 could not start for 76 days at a stretch."]
    found = rules(desk)
    ends = [
        {"kind": "window", "key": found[name]["key"], "values": None}
        for name in ("Primary", "Secondary")
    ]
    assert preview(desk, *ends)["warnings"] == [
        "P1, P2, P3 could not start at all within the next 400 days."
    ]


def test_the_preview_asks_the_same_number_of_queries_for_one_and_for_many(desk: Sit) -> None:
    """Item 2, at scale: displaced changes cost no further queries."""
    new = freeze("the audit week", "2026-10-05T00:00Z", "2026-10-08T00:00Z")
    booked(desk)
    with CaptureQueriesContext(
        connection,
    ) as one:
        assert preview(desk, new)["displaced_count"] == 1
    for component in ("cdn", "recommendations", "message-bus"):
        booked(desk, components=[component])
    with CaptureQueriesContext(connection) as many:
        assert preview(desk, new)["displaced_count"] == 4
    assert len(many) == len(one)


def test_a_confidential_change_is_displaced_without_its_name(desk: Sit) -> None:
    """Promise 6: whoever may not see it reads that there is one, and no more."""
    number = booked(desk)
    desk("engineer").patch(
        f"/changes/{number}",
        {"version": desk("engineer").get(f"/changes/{number}")["version"], "confidential": True},
    )
    new = freeze("the audit week", "2026-10-05T00:00Z", "2026-10-08T00:00Z")
    found = desk("engineer2").post("/calendar/rules/preview", {"edits": [new]})
    assert (found["displaced"], found["displaced_count"]) == ([], 1)
    assert number not in str(found)


def test_a_window_that_moves_takes_its_bookings_along_where_they_fit(
    desk: Sit, django_capture_on_commit_callbacks: Any
) -> None:
    """A renamed or shortened window: a slot that still fits stays, and says the window as it is
    now.
    """
    number = booked(desk)
    with django_capture_on_commit_callbacks(execute=True):
        save(desk, edit(desk, "Primary", name="Early", minutes=100))
    window = desk("engineer").get(f"/changes/{number}")["slot"]["window"]
    assert window == {
        "name": "Early",
        "start": "2026-10-06T02:00:00Z",
        "end": "2026-10-06T03:40:00Z",
    }


def test_one_rule_is_edited_once_and_names_may_be_swapped(desk: Sit) -> None:
    """A27: two halves of one window would have twice its places; and what is ended is ended before
    what begins.
    """
    save(desk, edit(desk, "Primary", capacity=3))
    half, other = edit(desk, "Primary", minutes=60), edit(desk, "Primary", name="Primary too")
    assert "once in one save" in save(desk, half, other, expect=422)["detail"]
    preview(desk, half, other, expect=422)
    first, second = edit(desk, "Primary", name="Secondary"), edit(desk, "Secondary", name="Primary")
    assert save(desk, first, second)["applied"]
    assert rules(desk)["Secondary"]["capacity"] == 3


def test_places_stay_taken_when_the_window_is_edited_while_it_is_open(desk: Sit, at: Any) -> None:
    """Item 3: a version that begins at 02:10 counts who runs since 02:00."""
    save(desk, edit(desk, "Primary", capacity=1))
    running = booked(desk, components=["cdn"])
    number = str(desk("engineer").submit("P2", components=["message-bus"])["id"])
    approve_p2(desk, number)
    desk("devops").tick_off(running, "pre")
    at("2026-10-06T02:00Z")
    desk("devops").post(f"/changes/{running}/start")
    at("2026-10-06T02:10Z")
    save(desk, edit(desk, "Primary", name="Early", minutes=110))
    body = {"start": "2026-10-06T02:20Z", "short_notice_reason": "Now"}
    answer = desk("devops").post(f"/changes/{number}/schedule", body, expect=409)
    assert [reason["code"] for reason in answer["reasons"]] == ["window_full"]


def test_a_second_loss_of_the_same_slot_is_told_again(
    desk: Sit, django_capture_on_commit_callbacks: Any, at: Any
) -> None:
    """Promise 5: displaced, booked there again, displaced again: two messages."""
    number = booked(desk)
    for index, name in enumerate(("the first audit", "the second audit")):
        at(f"2026-10-02T0{index}:00Z")
        with django_capture_on_commit_callbacks(execute=True):
            save(desk, freeze(name, "2026-10-06T00:00Z", "2026-10-07T00:00Z"))
        if not index:
            ended = save(
                desk, {"kind": "closure", "key": rules(desk)[name]["key"], "values": None}
            )["proposal"]
            desk("cto").post(f"/proposals/{ended}/confirm")
            desk("devops").post(f"/changes/{number}/schedule", {"start": "2026-10-06T02:00Z"})
    assert Message.objects.filter(kind="displaced", recipient__username="engineer").count() == 2


def test_whoever_may_edit_no_more_has_proposed_nothing(desk: Sit) -> None:
    """A27: a proposal of somebody who has lost the role is not carried out."""
    from django.contrib.auth.models import Group

    proposal = save(desk, opening("Catalogue move", "2026-10-10T08:00"))["proposal"]
    desk("change-manager").user.groups.remove(Group.objects.get(name="change-manager"))
    assert (
        "cannot be carried out any more"
        in desk("cto").post(f"/proposals/{proposal}/confirm", expect=409)["detail"]
    )


def test_nothing_is_booked_further_ahead_than_the_calendar_is_looked_at(desk: Sit) -> None:
    """One booking in the year 2100 would make every tick look that far."""
    number = booked(desk)
    answer = desk("devops").post(
        f"/changes/{number}/schedule", {"start": "2099-10-06T02:00Z"}, expect=422
    )
    assert (
        answer["errors"][0]["message"]
        == "Start: choose one within 400 days; the calendar is not looked at further ahead."
    )


def test_an_opening_that_was_needed_is_in_the_report(desk: Sit, at: Any) -> None:
    """A27: a start that only a one-off opening allowed is marked; one that a window allows anyway
    is not.
    """
    for name, begins in (("Needed", "2026-10-10T08:00"), ("Needless", "2026-10-06T01:00")):
        proposal = save(desk, opening(name, begins, 240))["proposal"]
        desk("cto").post(f"/proposals/{proposal}/confirm")
    needless, needed = (
        booked(desk, "2026-10-06T02:00Z"),
        booked(desk, "2026-10-10T08:00Z", components=["cdn"]),
    )
    for number, moment in ((needless, "2026-10-06T02:00Z"), (needed, "2026-10-10T08:00Z")):
        at("2026-10-05T09:00Z")
        desk("devops").tick_off(number, "pre")
        at(moment)
        desk("devops").post(f"/changes/{number}/start")
    marked = Event.objects.filter(action="change.start", data__one_off=True)
    assert [ChangeRequest.objects.get(pk=event.change_id).number for event in marked] == [needed]


def test_a_freeze_that_a_lockdown_hides_is_still_weighed(desk: Sit) -> None:
    """Item 2: what an edit takes is seen although nothing may start at present."""
    desk("change-manager").post("/calendar/lockdowns", {"reason": "Card payments fail"}, expect=201)
    found = preview(desk, freeze("the long freeze", "2027-02-01T00:00Z", "2027-08-15T00:00Z"))
    assert found["warnings"] == ["P1, P2, P3 could not start for 200 days at a stretch."]


# --- the comparison itself ------------------------------------------------------------------------

DAYS = st.sets(st.sampled_from(["MO", "TU", "WE", "TH", "FR", "SA", "SU"]), min_size=1)
WINDOWS = st.builds(
    lambda days, hour, minutes, priorities, scope, every, zone: Window(
        "Night", f"FREQ=WEEKLY;INTERVAL={every};BYDAY={','.join(sorted(days))}",
        datetime(2026, 1, 5, hour), minutes, zone, frozenset(priorities), frozenset(scope)
    ),
    DAYS, st.integers(0, 23), st.sampled_from([30, 60, 120, 600]),
    st.sets(st.sampled_from(["P1", "P2", "P3"]), min_size=1),
    st.sets(st.sampled_from(["search", "cdn"])), st.integers(1, 3),
    st.sampled_from(["UTC", "Europe/London"]),
)  # fmt: skip
CLOSURES = st.builds(
    lambda start, days, admits, scope, kind: Closure(
        "the freeze", kind, starts=datetime(2026, 10, 1 + start, tzinfo=UTC),
        ends=datetime(2026, 11, 1 + days, tzinfo=UTC), admits=frozenset({"P0", *admits}),
        scope=frozenset(scope)
    ),
    st.integers(0, 20), st.integers(0, 20), st.sets(st.sampled_from(["P1", "P2", "P3"])),
    st.sets(st.sampled_from(["search", "cdn"])), st.sampled_from(["freeze", "blackout"]),
)  # fmt: skip
AT = datetime(2026, 10, 1, 9, tzinfo=UTC)
END = datetime(2026, 12, 20, tzinfo=UTC)
ALWAYS = Window("Ever", "FREQ=DAILY", datetime(2026, 1, 1), 1440)


@settings(max_examples=tries(everyday=30, build=150), deadline=None)
@given(old=st.one_of(WINDOWS, CLOSURES), new=st.one_of(WINDOWS, CLOSURES))
def test_nothing_that_opens_time_to_anybody_passes_as_a_narrowing(old: Any, new: Any) -> None:
    """A27: if some priority may work on some component at some time by the new rule and not by the
    old, it is called a widening.
    """
    if type(old) is not type(new):
        old = None
    was, will = (
        Calendar.of(
            [rule, ALWAYS]
            if isinstance(rule, Closure)
            else [rule]
            if rule
            else []
            if isinstance(new, Window)
            else [ALWAYS]
        )
        for rule in (old, new)
    )
    gained = any(
        list(
            without(
                list(open_stretches(priority, AT, END, will, scope)),
                list(open_stretches(priority, AT, END, was, scope)),
            )
        )
        for priority in ("P1", "P2", "P3")
        for scope in (frozenset(), frozenset({"search"}), frozenset({"cdn"}))
    )
    if gained:
        assert widens(old, new, AT)
    assert not widens(new, new, AT)


def test_versions_end_where_the_next_begins(desk: Sit, at: Any) -> None:
    """No instant is without its rule or has it twice."""
    at("2026-10-07T09:00Z")
    save(desk, edit(desk, "Primary", minutes=60))
    first, second = MaintenanceWindow.objects.filter(name__in=["Primary"]).order_by("id")
    assert first.till == second.since == datetime(2026, 10, 7, 9, tzinfo=UTC)
    assert second.first_key == first.pk
    found = [
        o for o in calendar_since(datetime(2026, 9, 1, tzinfo=UTC)).windows if o.name == "Primary"
    ]
    starts = [
        o.start.date()
        for window in found
        for o in window.occurrences(
            datetime(2026, 9, 28, tzinfo=UTC), datetime(2026, 10, 15, tzinfo=UTC)
        )
    ]
    assert sorted(starts) == [date(2026, 9, 29), date(2026, 10, 6), date(2026, 10, 13)]
