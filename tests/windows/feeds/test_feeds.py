"""iCalendar out and in: real parsers read the feed, and no .ics file that exists in the wild breaks
the import (item 9, F33).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import icalendar
import pytest
import recurring_ical_events
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from language.refusal import Invalid
from requests.models import Component
from tests.windows.rules.test_rules import booked, rules, save
from tests.world import Desk, html_of
from windows.calendar.verdict import closure_occurrences, open_stretches
from windows.feeds import feeds
from windows.models import Feed, current_calendar
from windows.rules import ics

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]
SAMPLES = Path(__file__).parents[2] / "data" / "calendars"


@pytest.fixture(autouse=True)
def october(at: Any) -> None:
    at("2026-10-01T09:00Z")


def subscribe(desk: Sit, who: str, kind: str = "personal", team: str = "") -> str:
    """The address of a new feed, as its page shows it once."""
    client = desk(who).client
    client.force_login(desk(who).user)
    page = html_of(client.post("/calendar/feeds/", {"kind": kind, "team": team}))
    return page.split('<code id="secret">')[1].split("</code>")[0].replace("http://testserver", "")


def read(address: str) -> icalendar.Calendar:
    answer = Client().get(address)
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/calendar; charset=utf-8"
    return icalendar.Calendar.from_ical(answer.content)


def events(calendar: icalendar.Calendar, category: str) -> list[Any]:
    return [
        event
        for event in calendar.walk("VEVENT")
        if category in str(event["CATEGORIES"].to_ical(), "utf-8")
    ]


@pytest.mark.parametrize(
    "zone", ["UTC", "America/New_York", "Europe/London", "Australia/Lord_Howe", "Africa/Casablanca"]
)
def test_a_feed_holds_exactly_the_calendars_intervals(desk: Sit, zone: str) -> None:
    """Done-when: `icalendar` and `recurring-ical-events` find the open windows and the closures, to
    the second, over clock changes too.
    """
    wide = save(
        desk,
        {
            "kind": "window",
            "values": {
                "name": "Night",
                "rule": "FREQ=DAILY",
                "begins": "2026-10-01T00:30",
                "minutes": 150,
                "zone": zone,
            },
        },
    )
    desk("cto").post(f"/proposals/{wide['proposal']}/confirm")
    found = read(subscribe(desk, "engineer", "public"))
    start, end = datetime(2026, 10, 2, 12, tzinfo=UTC), datetime(2027, 10, 1, 12, tzinfo=UTC)
    seen = recurring_ical_events.of(found).between(start, end)

    def spans(category: str) -> set[tuple[datetime, datetime]]:
        rows = [event for event in seen if category in str(event["CATEGORIES"].to_ical(), "utf-8")]
        return {
            (event["DTSTART"].dt.astimezone(UTC), event["DTEND"].dt.astimezone(UTC))
            for event in rows
        }

    calendar = current_calendar()
    closed = {(c.start, c.end) for c in closure_occurrences(calendar, start, end)}
    assert spans("FREEZE") | spans("BLACKOUT") == closed
    opened = spans("WINDOW")
    every = sorted(opened)
    assert len(every) > 300
    expected = list(open_stretches("P2", start, end, calendar))
    merged: list[tuple[datetime, datetime]] = []
    for begin, stop in every:
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((begin, stop))
    assert [span for span in merged if span[1] <= end] == [
        span for span in expected if span[1] <= end
    ]
    if zone != "UTC":
        assert {str(part["TZID"]) for part in found.walk("VTIMEZONE")} == {zone}
        tagged = [
            event
            for event in events(found, "WINDOW")
            if event["DTSTART"].params.get("TZID") == zone
        ]
        assert len(tagged) > 250, "windows keep their zone, but where a clock time comes twice"


def test_a_slot_keeps_its_uid_and_counts_its_moves_and_is_cancelled_when_lost(desk: Sit) -> None:
    """Item 9: UID, SEQUENCE, STATUS."""
    number = booked(desk)
    address = subscribe(desk, "engineer")

    def entry() -> tuple[str, int, str, str]:
        (event,) = events(read(address), "CHANGE")
        return (
            str(event["UID"]),
            int(event["SEQUENCE"]),
            str(event["STATUS"]),
            f"{event['DTSTART'].dt:%Y-%m-%dT%H:%M}",
        )

    uid, first, status, start = entry()
    assert (uid.split("@")[0], first, status, start) == (number, 0, "CONFIRMED", "2026-10-06T02:00")
    desk("devops").post(f"/changes/{number}/schedule", {"start": "2026-10-08T02:00Z"})
    assert entry() == (uid, 1, "CONFIRMED", "2026-10-08T02:00")
    desk("devops").post(f"/changes/{number}/unschedule", {"reason": "Not ready"})
    assert entry() == (uid, 2, "CANCELLED", "2026-10-08T02:00")
    desk("devops").post(f"/changes/{number}/schedule", {"start": "2026-10-13T02:00Z"})
    assert entry() == (uid, 3, "CONFIRMED", "2026-10-13T02:00")
    desk("engineer").post(f"/changes/{number}/cancel", {"reason": "Not needed"})
    assert entry() == (uid, 4, "CANCELLED", "2026-10-13T02:00")


def test_a_feed_shows_what_its_owner_may_see_now(desk: Sit) -> None:
    """F33: personal, team and public; what becomes confidential vanishes at the next reading; a
    disabled owner's feed is gone.
    """
    Component.objects.filter(slug="search").update(team="Catalogue")
    number = booked(desk)
    addresses = {
        who: subscribe(desk, who, "team", "Catalogue")
        for who in ("engineer2", "auditor", "engineer")
    }
    public = subscribe(desk, "engineer2", "public")
    assert all(len(events(read(address), "CHANGE")) == 1 for address in addresses.values())
    assert events(read(public), "CHANGE") == []
    version = desk("engineer").get(f"/changes/{number}")["version"]
    desk("engineer").patch(f"/changes/{number}", {"version": version, "confidential": True})
    assert {who: len(events(read(address), "CHANGE")) for who, address in addresses.items()} == {
        "engineer2": 0,
        "auditor": 1,
        "engineer": 1,
    }
    user = desk("engineer2").user
    user.is_active = False
    user.save()
    assert Client().get(addresses["engineer2"]).status_code == 404
    assert Client().get(public).status_code == 404


def test_the_address_is_secret_revocable_and_opens_nothing_else(desk: Sit, caplog: Any) -> None:
    """F33: kept as a hash, in no log, good for no other door; only its owner revokes it, and a new
    password ends it.
    """
    caplog.set_level(logging.DEBUG)
    address = subscribe(desk, "engineer")
    secret = address.split("/")[2]
    assert not Feed.objects.filter(digest=secret).exists()
    assert secret not in str(list(Feed.objects.values()))
    for path in ("/api/v1/changes", "/api/v1/me", "/api/v1/calendar", "/api/v1/audit"):
        assert Client().get(path, HTTP_AUTHORIZATION=f"Bearer {secret}").status_code == 401
    assert Client().get(f"/feeds/{secret}x/changes.ics").status_code == 404
    assert Client().post(address).status_code == 405
    key = Feed.objects.get().pk
    other = desk("engineer2").client
    other.force_login(desk("engineer2").user)
    assert other.post("/calendar/feeds/", {"revoke": key}).status_code == 404
    assert read(address)
    own = desk("engineer").client
    assert own.post("/calendar/feeds/", {"revoke": key}).status_code == 302
    assert Client().get(address).status_code == 404
    assert secret not in caplog.text
    second = subscribe(desk, "engineer")
    from accounts.registry import revoke_tokens

    revoke_tokens(desk("engineer").user, desk("engineer").user)
    assert Client().get(second).status_code == 404


def test_whoever_makes_too_many_or_a_wrong_one_is_told(desk: Sit) -> None:
    client = desk("engineer").client
    client.force_login(desk("engineer").user)
    for wrong in (
        {"kind": "everything"},
        {"kind": "team", "team": "Nobody"},
        {},
        {"kind": "team", "team": "a\x00"},
    ):
        assert client.post("/calendar/feeds/", wrong).status_code in (400, 422)
    for _ in range(feeds.MOST_FEEDS):
        feeds.make(actor=desk("engineer").user, kind="public")
    with pytest.raises(Invalid):
        feeds.make(actor=desk("engineer").user, kind="public")


# --- in -------------------------------------------------------------------------------------------


def taken(data: bytes, kind: str = "freeze", now: str = "2026-10-01T09:00") -> ics.Read:
    return ics.read(
        data,
        as_kind=kind,
        now=datetime.fromisoformat(now).replace(tzinfo=UTC),
        scope=[],
        admits=["P0"],
    )


def ics_file(*lines: str) -> bytes:
    return "\r\n".join(
        ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN", *lines, "END:VCALENDAR", ""]
    ).encode()


def event(*lines: str) -> list[str]:
    return ["BEGIN:VEVENT", *lines, "END:VEVENT"]


def test_a_release_calendar_becomes_freezes(desk: Sit) -> None:
    """Item 9: 246 real freezes of a release schedule, seen from the year in which they lie; whole
    days from midnight to midnight.
    """
    data = (SAMPLES / "openstack_freezes_derived.ics").read_bytes()
    found = taken(data, now="2017-01-01T00:00")
    assert len(found.edits) + found.past + len(found.left_out) >= 246
    assert found.left_out == []
    first = found.edits[0]["values"]
    assert first["starts"].endswith("T00:00Z")
    assert len({edit["values"]["name"] for edit in found.edits}) == len(found.edits)
    assert all(edit["values"]["kind"] == "freeze" for edit in found.edits)


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.ics")), ids=lambda path: path.stem)
@pytest.mark.parametrize("kind", ["freeze", "window"])
def test_no_file_of_the_wild_breaks_the_import(path: Path, kind: str) -> None:
    """F52: broken, unicode, many zones, no end, no start: read, left out with a reason, or refused
    in words; never an error of ours.
    """
    try:
        found = taken(path.read_bytes(), kind, now="2005-01-01T00:00")
    except Invalid as refused:
        assert len(str(refused)) > 20
        return
    assert len(found.edits) <= ics.MOST_RULES
    assert all(len(text) > 15 for text in found.left_out)


def test_what_cannot_be_a_rule_is_left_out_and_said() -> None:
    """Item 9: too often, cancelled, without a start, ending before it begins, longer than a window
    may be.
    """
    data = ics_file(
        *event(
            "UID:1",
            "SUMMARY:Every second",
            "DTSTART:20261101T000000Z",
            "DTEND:20261101T000001Z",
            "RRULE:FREQ=SECONDLY",
        ),
        *event(
            "UID:2",
            "SUMMARY:Off",
            "DTSTART:20261101T000000Z",
            "DTEND:20261101T010000Z",
            "STATUS:CANCELLED",
        ),
        *event("UID:3", "SUMMARY:No start"),
        *event("UID:4", "SUMMARY:Backwards", "DTSTART:20261102T000000Z", "DTEND:20261101T000000Z"),
        *event("UID:5", "SUMMARY:Long ago", "DTSTART:20200101T000000Z", "DTEND:20200102T000000Z"),
        *event(
            "UID:6", "SUMMARY:Fine", "DTSTART;TZID=Europe/Berlin:20261101T080000", "DURATION:PT2H"
        ),
        *event("UID:7", "SUMMARY:Fine", "DTSTART;VALUE=DATE:20261224", "DTEND;VALUE=DATE:20261227"),
        *event(
            "UID:8",
            "SUMMARY:Weekly",
            "DTSTART:20261005T220000Z",
            "DTEND:20261005T230000Z",
            "RRULE:FREQ=WEEKLY;COUNT=3",
            "EXDATE:20261012T220000Z",
        ),
    )
    found = taken(data)
    said = {
        edit["values"]["name"]: (edit["values"]["starts"], edit["values"]["ends"])
        for edit in found.edits
    }
    assert said == {
        "Fine": ("2026-11-01T07:00Z", "2026-11-01T09:00Z"),
        "Fine, 2026-12-24": ("2026-12-24T00:00Z", "2026-12-27T00:00Z"),
        "Weekly": ("2026-10-05T22:00Z", "2026-10-05T23:00Z"),
        "Weekly, 2026-10-19": ("2026-10-19T22:00Z", "2026-10-19T23:00Z"),
    }
    assert (found.past, len(found.left_out)) == (1, 4)
    windows = taken(data, "window")
    assert any("at most 24 hours" in text for text in windows.left_out)


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=DAILY;BYHOUR=0,1;BYMINUTE=0,1;BYSECOND=0,1",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=YEARLY;BYYEARDAY=400",
    ],
)
def test_a_rule_that_could_be_expanded_for_ever_is_left_out(rule: str) -> None:
    """F52."""
    found = taken(
        ics_file(
            *event(
                "UID:1",
                "SUMMARY:Trap",
                "DTSTART:19900101T000000Z",
                "DTEND:19900101T010000Z",
                f"RRULE:{rule}",
            )
        )
    )
    assert (found.edits, len(found.left_out)) == ([], 1)


def test_an_import_is_looked_at_first_and_then_saved(desk: Sit) -> None:
    """Item 9: the page shows rules and consequence; nothing is stored before the second button;
    openings wait for a second person.
    """
    number = booked(desk)
    data = ics_file(
        *event(
            "UID:1", "SUMMARY:Vendor's audit", "DTSTART:20261006T000000Z", "DTEND:20261007T000000Z"
        )
    )
    client = desk("change-manager").client
    client.force_login(desk("change-manager").user)
    page = html_of(
        client.post(
            "/calendar/import/",
            {"file": SimpleUploadedFile("a.ics", data), "as": "freeze", "scope": ""},
        )
    )
    assert "Vendor&#39;s audit" in page
    assert number in page
    assert "Vendor's audit" not in rules(desk)
    from html import unescape

    edits = unescape(page.split('name="edits" value="')[1].split('"')[0])
    assert (
        client.post("/calendar/import/", {"edits": edits, "as": "freeze", "reason": ""}).status_code
        == 422
    )
    assert (
        client.post(
            "/calendar/import/", {"edits": edits, "as": "freeze", "reason": "The vendor's calendar"}
        ).status_code
        == 302
    )
    assert "Vendor's audit" in rules(desk)
    for wrong in ("[", "[1]", '{"a": 1}', "[[[[", '[{"kind": "window", "values": {}}]', "null"):
        assert client.post(
            "/calendar/import/", {"edits": wrong, "as": "freeze", "reason": "x"}
        ).status_code in (409, 422), wrong
    assert client.post("/calendar/import/", {"as": "freeze"}).status_code == 422
    assert (
        client.post(
            "/calendar/import/", {"as": "x", "file": SimpleUploadedFile("a.ics", data)}
        ).status_code
        == 422
    )
    assert (
        client.post(
            "/calendar/import/",
            {"as": "freeze", "file": SimpleUploadedFile("a.ics", b"\x00\xff" * 500_001)},
        ).status_code
        == 422
    )
    page = html_of(
        client.post(
            "/calendar/import/",
            {
                "file": SimpleUploadedFile(
                    "a.ics",
                    data.replace(b"20261006", b"20261010")
                    .replace(b"20261007", b"20261011")
                    .replace(b"audit", b"visit"),
                ),
                "as": "window",
            },
        )
    )
    edits = unescape(page.split('name="edits" value="')[1].split('"')[0])
    answer = client.post(
        "/calendar/import/", {"edits": edits, "as": "window", "reason": "Their visit"}
    )
    assert answer["Location"].startswith("/settings/proposals/")


def test_the_bomb_takes_no_time() -> None:
    """F52: 2,000 events, each of a rule without end, are read in seconds; more are refused."""
    from time import perf_counter

    begun = perf_counter()
    many = [
        event(
            f"UID:{n}",
            f"SUMMARY:Daily {n}",
            "DTSTART:20000101T000000Z",
            "DTEND:20000101T010000Z",
            "RRULE:FREQ=DAILY",
        )
        for n in range(1999)
    ]
    found = taken(ics_file(*(line for lines in many for line in lines)))
    assert len(found.edits) == ics.MOST_RULES
    with pytest.raises(Invalid):
        taken(ics_file(*(line for lines in [*many, many[0], many[0]] for line in lines)))
    assert perf_counter() - begun < 20
