"""The calendar's pages: every view, filter and zone, a date, the slot finder, a move; the editor of
rules, which loses nothing typed.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape
from time import perf_counter
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from requests.models import ChangeRequest, Component
from tests.windows.rules.test_rules import booked, edit, freeze, rules, save
from tests.world import Desk, html_of
from windows.calendar.recurrence import Closure, Day, Window
from windows.calendar.verdict import Calendar, decide, open_stretches, window_occurrences
from windows.models import Booking, MaintenanceWindow

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]
VIEWS = ("month", "week", "timeline", "agenda")


@pytest.fixture(autouse=True)
def october(at: Any) -> None:
    at("2026-10-01T09:00Z")


def client_of(desk: Sit, who: str) -> Client:
    client = desk(who).client
    client.force_login(desk(who).user)
    return client


def page(desk: Sit, address: str, who: str = "engineer", status: int = 200) -> str:
    answer = client_of(desk, who).get(address)
    assert answer.status_code == status, address
    return unescape(html_of(answer))


# --- views ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_shows_windows_bookings_and_the_same_agenda(desk: Sit, view: str) -> None:
    """Item 6: a booking, a change that holds its window, and an emergency stand in each view; the
    agenda is there for all.
    """
    number = booked(desk)
    held = desk("engineer").submit(
        "P2",
        components=["cdn"],
        requested_window={"start": "2026-10-08T02:00Z"},
        summary="CDN: new edge",
    )
    shown = page(desk, f"/calendar/?view={view}&at=2026-10-06")
    assert f"/changes/{number}/" in shown
    assert f"/changes/{held['id']}/" in shown
    assert "Primary window, open" in shown
    assert 'id="agenda"' in shown
    assert shown.count("CDN: new edge") >= (1 if view == "agenda" else 2)


def test_the_month_says_how_many_are_open_and_when_it_opens_again(desk: Sit) -> None:
    """A6: November 2026: three windows, then shut; overlapping closures are one band with all their
    names.
    """
    shown = page(desk, "/calendar/?at=2026-11")
    assert "3 open windows, then shut from Thu 12 Nov." in shown
    assert "The next after that opens" in shown
    assert "Tue 5 Jan 2027, 02:00 UTC" in shown
    assert "Black Friday blackout, holiday shopping season" in shown
    assert "All 10 windows here are shut." in page(desk, "/calendar/?at=2026-12")


def test_a_zone_moves_days_and_hours_and_utc_stays_beside(desk: Sit) -> None:
    """Item 6: 02:00 UTC on Tuesday is Monday evening in New York; each row says UTC, too; clock
    changes are followed.
    """
    shown = page(desk, "/calendar/?view=agenda&at=2026-10&zone=America/New_York")
    assert "Mon 5 Oct" in shown
    assert ">22:00</time> to" in shown
    assert "Tue 6 Oct 02:00</time> UTC)" in shown
    assert ">21:00</time> to" in page(
        desk, "/calendar/?view=agenda&at=2026-11&zone=America/New_York"
    )
    wrong = page(desk, "/calendar/?zone=Mars/Olympus")
    assert "There is no time zone “Mars/Olympus”; times are in UTC." in wrong


def test_filters_are_in_the_address(desk: Sit) -> None:
    """Item 6: components and priority; what cannot be taken is said and left out."""
    search, cdn = booked(desk), booked(desk, components=["cdn"])
    shown = page(desk, "/calendar/?component=cdn&view=agenda")
    assert cdn in shown
    assert search not in shown
    save(
        desk, freeze("the search move", "2026-10-08T00:00Z", "2026-10-09T00:00Z", scope=["search"])
    )
    assert "The search move" not in page(desk, "/calendar/?component=cdn&view=agenda")
    assert "Secondary window, shut" not in page(desk, "/calendar/?component=cdn&view=agenda")
    assert "The search move" in page(desk, "/calendar/?component=search&view=agenda")
    assert "No component is called “nowhere”" in page(desk, "/calendar/?component=nowhere")
    save(desk, edit(desk, "Primary", priorities=["P3"]))
    assert "open to P3" in page(desk, "/calendar/?view=agenda")
    assert (
        "Primary"
        not in page(desk, "/calendar/?view=agenda&priority=P1&at=2026-10").split("<tbody>")[1]
    )


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("query", ["at=2026-13", "at=x", "at=2026-02-30", "at=2199-12",
    "at=1900-01-01", "view=x", "priority=P9", "component=%00", "zone=%00", "zone=" + "x" * 500,
    "at=2026-10-06&at=3"])  # fmt: skip
def test_no_address_is_an_error(desk: Sit, view: str, query: str) -> None:
    """F52: whatever stands in the address, a calendar is shown, or the input is called bad."""
    assert client_of(desk, "engineer").get(f"/calendar/?view={view}&{query}").status_code in (
        200,
        400,
    )


def test_conflicts_are_named_in_every_view(desk: Sit) -> None:
    """Item 3, item 6: two on one component by the change manager's override: red, with the
    words.
    """
    first, second = booked(desk), str(desk("engineer").submit("P2")["id"])
    from tests.journeys.test_api_walk import approve_p2

    approve_p2(desk, second)
    refused = desk("change-manager").post(
        f"/changes/{second}/schedule", {"start": "2026-10-06T02:15Z"}, expect=409
    )
    assert refused["reasons"][0]["message"].endswith("Talk to Ines Moreau.")
    desk("change-manager").post(
        f"/changes/{second}/schedule",
        {"start": "2026-10-06T02:15Z", "override_reason": "Two halves of one"},
    )
    for view in VIEWS:
        shown = page(desk, f"/calendar/?view={view}&at=2026-10-06")
        assert (
            f"Same component: {first} (Ines Moreau) and {second} (Ines Moreau) both touch search."
            in shown
        ), view
    assert "Primary window, conflict" in shown


def test_a_confidential_change_is_in_no_view(desk: Sit) -> None:
    """Promise 6."""
    number = booked(desk)
    version = desk("engineer").get(f"/changes/{number}")["version"]
    desk("engineer").patch(f"/changes/{number}", {"version": version, "confidential": True})
    for address in [
        *(f"/calendar/?view={view}&at=2026-10-06" for view in VIEWS),
        "/calendar/day/2026-10-06/",
    ]:
        assert number not in page(desk, address, "engineer2"), address
        assert number in page(desk, address), address
    assert (
        client_of(desk, "engineer2")
        .get(f"/calendar/move/?change={number}&start=2026-10-13T02:00Z")
        .status_code
        == 404
    )


def test_a_date_says_what_is_open_for_whom_and_why(desk: Sit) -> None:
    """Item 6: P0 at any time, planned work by window and freeze, with the next start."""
    shown = page(desk, "/calendar/day/2026-11-24/")
    assert "Tuesday 24 November 2026" in shown
    assert "at any time" in shown
    assert "The code freeze for Thanksgiving until Thu 26 Nov" in shown
    assert "Tue 5 Jan 2027, 02:00 UTC" in shown
    number = booked(desk)
    day = page(desk, "/calendar/day/2026-10-06/")
    assert number in day
    assert ">02:00</time> to" in day
    assert client_of(desk, "engineer").get("/calendar/day/2026-02-30/").status_code == 404
    assert client_of(desk, "engineer").get("/calendar/day/9999-01-01/").status_code == 404


def test_a_move_is_shown_with_its_verdict_and_moves_nothing(desk: Sit) -> None:
    """Item 6: what a drag proposes: the verdict, the conflict, a button; looking at it changes
    nothing.
    """
    number, other = booked(desk), booked(desk, "2026-10-08T02:00Z")
    free = page(desk, f"/calendar/move/?change={number}&start=2026-10-13T02:00Z")
    assert "Move it there" in free
    taken = page(desk, f"/calendar/move/?change={number}&start=2026-10-08T02:00Z")
    assert f"Booked by {other} on search" in taken
    assert "Move it there" not in taken
    assert "Why may both go on at once?" in page(
        desk, f"/calendar/move/?change={number}&start=2026-10-08T02:00Z", "change-manager"
    )
    frozen = page(desk, f"/calendar/move/?change={number}&start=2026-11-24T02:00Z")
    assert "inside the code freeze for Thanksgiving" in frozen
    assert "has passed" in page(desk, f"/calendar/move/?change={number}&start=2026-09-29T02:00Z")
    assert desk("engineer").get(f"/changes/{number}")["slot"]["start"] == "2026-10-06T02:00:00Z"
    for wrong in ("start=x", "start=", "start=2026-13-01"):
        assert (
            client_of(desk, "engineer").get(f"/calendar/move/?change={number}&{wrong}").status_code
            == 422
        )
    client = client_of(desk, "engineer")
    client.post(f"/changes/{number}/act/schedule", {"start": "2026-10-13T02:00:00Z"})
    assert desk("engineer").get(f"/changes/{number}")["slot"]["start"] == "2026-10-13T02:00:00Z"


def test_the_slot_finder_finds_or_says_why_none(desk: Sit) -> None:
    """Item 3: the earliest that fit calendar, plan and bookings."""
    booked(desk, "2026-10-06T02:00Z")
    shown = page(desk, "/calendar/find/?priority=P2&component=search&work=60&rollback=15")
    assert "8 earliest starts for 1 h 15 min" in shown
    assert "Tue 6 Oct, 02:45 to 04:00 UTC" in shown
    assert "Tue 6 Oct, 02:00 to 03:15 UTC" in page(
        desk, "/calendar/find/?priority=P2&component=message-bus&work=60&rollback=15"
    )
    none = page(desk, "/calendar/find/?priority=P2&component=search&work=60&rollback=15&canary=yes")
    assert "No slot within 90 days" in none
    assert "the longest window within 90 days has 2 h" in none
    for wrong in (
        "work=x",
        "work=-5",
        "work=99999999",
        "work=10&priority=P0",
        "work=10&component=nowhere",
        "work=10&from=2026-99-01",
    ):
        client = client_of(desk, "engineer")
        assert client.get(f"/calendar/find/?component=search&{wrong}").status_code == 422, wrong


def test_is_it_open_answers_or_names_the_field(desk: Sit) -> None:
    """Item 7."""
    assert "P0 may start at any time" in page(desk, "/calendar/open/?priority=P0")
    assert (
        "P2 may start on Tue 6 Oct 2026, 02:30 UTC: Primary is open until Tue 6 Oct, 04:00 UTC."
        in page(desk, "/calendar/open/?priority=P2&at=2026-10-06T02:30")
    )
    for wrong in ("at=x", "priority=P9", "component=nowhere"):
        assert client_of(desk, "engineer").get(f"/calendar/open/?{wrong}").status_code == 422


# --- the editor -----------------------------------------------------------------------------------

OPENING = {"name": "Catalogue move", "begins_day": "2026-10-10", "begins_time": "08:00",
    "minutes": "90", "zone": "Europe/Berlin", "priorities": ["P2"], "scope": "catalogue",
    "reason": "The disks are full"}  # fmt: skip
WINDOW = {"name": "Night", "repeat": "weekly", "days": ["MO", "FR"], "every": "2",
    "begins_day": "2026-10-05", "begins_time": "23:30", "minutes": "60", "zone": "UTC",
    "priorities": ["P2", "P3"], "reason": "More room"}  # fmt: skip
CLOSING = {
    "name": "the stocktaking", "kind": "blackout", "when": "yearly", "first_by": "nth",
    "first_nth": "-1", "first_weekday": "0", "first_month": "1", "last_by": "date", "last_day": "2",
    "last_month": "2", "admits": ["P0"], "reason": "Counted by hand",
}  # fmt: skip


def test_the_form_makes_windows_openings_and_closings(desk: Sit) -> None:
    """Item 1: what the form says is what the rule is."""
    client = client_of(desk, "change-manager")
    assert client.post("/calendar/rules/new/closing/", CLOSING)["Location"] == "/calendar/rules/"
    row = rules(desk)["the stocktaking"]
    assert (row["first"], row["last"]) == (
        {"month": 1, "weekday": 0, "nth": -1},
        {"month": 2, "day": 2},
    )
    assert "the last Monday of January to 2 February" in page(desk, "/calendar/rules/")
    for kind, values in (("window", WINDOW), ("opening", OPENING)):
        where = client.post(f"/calendar/rules/new/{kind}/", values)["Location"]
        key = int(where.rpartition("-")[2])
        desk("cto").post(f"/proposals/{key}/confirm")
    assert rules(desk)["Night"]["rule"] == "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,FR"
    opened = MaintenanceWindow.objects.get(name="Catalogue move").value()
    (occurrence,) = opened.occurrences(
        datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
    )
    assert (occurrence.start, occurrence.end) == (
        datetime(2026, 10, 10, 6, tzinfo=UTC),
        datetime(2026, 10, 10, 7, 30, tzinfo=UTC),
    )
    shown = page(desk, "/calendar/rules/")
    assert "every 2 weeks on Monday and Friday, 23:30 to 00:30 UTC the next day" in shown
    assert "once, Sat 10 Oct 2026, 08:00 to 09:30 Europe/Berlin" in shown
    key = rules(desk)["Night"]["key"]
    again = page(desk, f"/calendar/rules/window/{key}/", "change-manager")
    assert 'name="days" value="FR" checked' in again


def test_a_refused_form_keeps_everything_typed(desk: Sit) -> None:
    """What is wrong is linked at the top and said at its field; the rest stands there as it was
    typed.
    """
    client = client_of(desk, "change-manager")
    answer = client.post(
        "/calendar/rules/new/window/",
        {**WINDOW, "minutes": "soon", "scope": "nowhere", "skips": "2026-12-24"},
    )
    shown = unescape(html_of(answer))
    assert answer.status_code == 422
    assert '<a href="#id_minutes">Length: give a whole number' in shown
    assert "Components: no component is called “nowhere”" in shown
    for kept in (
        'value="Night"',
        'value="soon"',
        'value="23:30"',
        'value="2026-12-24"',
        "More room",
        'name="days" value="MO" checked',
    ):
        assert kept in shown, kept
    assert client.post("/calendar/rules/new/window/", {**WINDOW, "reason": ""}).status_code == 422
    assert (
        client_of(desk, "engineer").post("/calendar/rules/new/window/", WINDOW).status_code == 403
    )


def test_the_preview_while_typing_stores_nothing_and_never_fails(desk: Sit) -> None:
    """Item 1: the year ahead, the consequence, or what is missing yet; for any key and any
    nonsense.
    """
    client = client_of(desk, "change-manager")
    shown = unescape(html_of(client.post("/calendar/rules/preview/window/", WINDOW)))
    assert "52 times in the year ahead" in shown
    assert "It allows more, so a second person confirms it." in shown
    missing = unescape(
        html_of(client.post("/calendar/rules/preview/window/", {"name": "x", "repeat": "weekly"}))
    )
    assert "Opens: choose the day and the time" in missing
    for kind in ("window", "opening", "closing"):
        for values in (
            {},
            {"key": "999999"},
            {"key": "-1"},
            {"first_by": "nth", "when": "yearly", "last_by": "x"},
            {"every": "0", "repeat": "monthly", "nth": "9"},
        ):
            assert client.post(f"/calendar/rules/preview/{kind}/", values).status_code == 200, (
                kind,
                values,
            )
    assert client.post("/calendar/rules/preview/other/", {}).status_code == 404
    assert "Night" not in rules(desk)


def test_a_rule_is_ended_from_its_page_and_an_old_page_is_told(desk: Sit) -> None:
    client, key = client_of(desk, "change-manager"), rules(desk)["Secondary"]["key"]
    asked = client.post(f"/calendar/rules/window/{key}/", {"intent": "end", "reason": "Too many"})
    assert "Press the button again to end it." in html_of(asked)
    assert "Secondary" in rules(desk)
    assert (
        client.post(
            f"/calendar/rules/window/{key}/", {"intent": "end", "reason": "Too many", "seen": "0"}
        ).status_code
        == 302
    )
    assert client.get(f"/calendar/rules/window/{key}/")["Location"] == "/calendar/rules/"
    assert (
        client.post(f"/calendar/rules/window/{key}/", {**WINDOW, "reason": "x"}).status_code == 412
    )
    assert client.get("/calendar/rules/window/99999999/").status_code == 404
    assert client.get("/calendar/rules/nothing/1/").status_code == 404
    assert "Secondary, every Thursday" in page(desk, "/calendar/rules/")


def test_nobody_loses_a_slot_by_one_click(desk: Sit) -> None:
    """Item 2: without JavaScript, too, the list of whom it displaces comes before it is saved; an
    old address leads to the rule as it is now.
    """
    number, client, old = (
        booked(desk),
        client_of(desk, "change-manager"),
        rules(desk)["Primary"]["key"],
    )
    form = {
        **WINDOW,
        "name": "Primary",
        "days": ["WE"],
        "every": "1",
        "begins_day": "2000-01-04",
        "begins_time": "02:00",
        "minutes": "30",
        "priorities": ["P1", "P2", "P3"],
    }
    shorter = {**form, "days": ["TU"]}
    asked = unescape(html_of(client.post(f"/calendar/rules/window/{old}/", shorter)))
    assert f"{number}</a> Search: refresh the product index every 5 s loses" in asked
    assert "Save, and free 1 slot" in asked
    assert rules(desk)["Primary"]["minutes"] == 120
    assert (
        client.post(f"/calendar/rules/window/{old}/", {**shorter, "seen": "1"}).status_code == 302
    )
    new = rules(desk)["Primary"]
    assert new["minutes"] == 30
    assert (
        client.get(f"/calendar/rules/window/{old}/")["Location"]
        == f"/calendar/rules/window/{new['key']}/"
    )
    assert "tick at least one day" in unescape(
        html_of(client.post("/calendar/rules/preview/window/", {**form, "days": []}))
    )


def test_what_is_proposed_can_be_looked_at_before_it_is_confirmed(desk: Sit) -> None:
    """A27, item 2: the second person sees before and after, and what it would do."""
    proposal = save(desk, edit(desk, "Primary", minutes=180))["proposal"]
    shown = page(desk, f"/calendar/proposed/{proposal}/", "cto")
    assert "every Tuesday, 02:00 to 04:00 UTC; P1, P2, P3" in shown
    assert "every Tuesday, 02:00 to 05:00 UTC; P1, P2, P3" in shown
    assert "It opens Tue 6 Oct, 04:00 to 05:00 UTC 2026" in shown
    assert f"/calendar/proposed/{proposal}/" in page(desk, "/settings/proposals/", "cto")
    save(desk, edit(desk, "Primary", minutes=60))
    assert "It cannot be carried out any more" in page(
        desk, f"/calendar/proposed/{proposal}/", "cto"
    )


def test_the_lockdown_page_stops_and_lifts(desk: Sit) -> None:
    """Item 5: it says what it would stop, asks why, and keeps what was typed."""
    number = booked(desk)
    client = client_of(desk, "change-manager")
    shown = page(desk, "/calendar/lockdown/", "change-manager")
    assert "Stop now" in shown
    refused = client.post("/calendar/lockdown/", {"components": "search", "reason": ""})
    assert refused.status_code == 422
    assert 'value="search"' in html_of(refused)
    assert (
        client.post("/calendar/lockdown/", {"components": "nowhere", "reason": "x"}).status_code
        == 422
    )
    assert (
        client.post(
            "/calendar/lockdown/", {"components": "", "reason": "Card payments fail"}
        ).status_code
        == 302
    )
    assert "The lockdown holds since" in page(desk, "/calendar/")
    assert "Stop now" not in page(desk, "/calendar/lockdown/")
    assert (
        client_of(desk, "engineer").post("/calendar/lockdown/", {"reason": "x"}).status_code == 403
    )
    key = desk("engineer").get("/calendar/lockdowns")["items"][0]["id"]
    client = client_of(desk, "change-manager")
    assert (
        client.post("/calendar/lockdown/", {"key": str(key), "reason": "Paid again"}).status_code
        == 302
    )
    assert client.post("/calendar/lockdown/", {"key": "99999999", "reason": "x"}).status_code == 404
    assert desk("engineer").get(f"/changes/{number}")["state"] == "scheduled"


# --- far too much ---------------------------------------------------------------------------------


def _crowd(desk: Sit, count: int) -> None:
    """That many booked changes in October, made by hand: each on a component of its own window."""
    requester, now = desk("engineer").user, datetime(2026, 9, 1, tzinfo=UTC)
    slots = [datetime(2026, 10, day, 2, tzinfo=UTC) for day in (6, 8, 13, 15, 20, 22, 27, 29)]
    component = Component.objects.get(slug="cdn")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
    for index in range(count):
        start = slots[index % len(slots)]
        change = ChangeRequest.objects.create(
            number=f"CR-2026-09-01-{index + 500:03}", state="scheduled", priority="P2",
            summary=f"Crowd {index}: something with a long name indeed",
            requester=requester, slot_start=start, slot_end=start + timedelta(minutes=30),
            window_name="Primary", window_start=start,
            window_end=start + timedelta(hours=2), approved_at=now, content_hash="x",
            approved_hash="x", created_at=now,
        )  # fmt: skip
        Booking.objects.create(
            change=change,
            component=component,
            during=(start, start + timedelta(minutes=30)),
            exclusive=False,
        )
        change.components.add(component)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = origin")


def test_a_month_of_800_bookings_stays_small_and_costs_no_more(desk: Sit) -> None:
    """Done-when: at most 150 kB, and the same statements as for one booking, in every view."""
    client = client_of(desk, "engineer")
    booked(desk)
    client.get("/calendar/")

    def cost(view: str) -> tuple[int, int]:
        with CaptureQueriesContext(connection) as found:
            answer = client.get(f"/calendar/?view={view}&at=2026-10-06")
        return len(found), len(answer.content)

    few = {view: cost(view)[0] for view in VIEWS}
    _crowd(desk, 800)
    for view in VIEWS:
        statements, size = cost(view)
        assert statements <= few[view] + 1, view  # who depends on whom is read once there are pairs
        assert size <= 150_000, (view, size)


def test_two_years_of_200_rules_and_their_verdicts_take_no_time() -> None:
    """Done-when: expanding two years of 200 rules, cold, and a verdict with all of them."""
    weekdays = ["MO", "TU", "WE", "TH", "FR"]
    windows = tuple(
        Window(f"W{n}", f"FREQ=WEEKLY;INTERVAL={n % 3 + 1};BYDAY={weekdays[n % 5]}",
            datetime(2000, 1, 3, n % 24), 60 + n, "Europe/Berlin", scope=frozenset({f"c{n % 40}"}))
        for n in range(150)
    )  # fmt: skip
    closures = tuple(
        Closure(
            f"C{n}",
            "freeze",
            Day(month=n % 12 + 1, day=n % 28 + 1),
            Day(month=n % 12 + 1, day=n % 28 + 1, offset=2),
        )
        for n in range(50)
    )
    calendar, at = Calendar(windows, closures), datetime(2026, 10, 1, tzinfo=UTC)
    begun = perf_counter()
    assert len(window_occurrences(calendar, at, at + timedelta(days=730))) > 8_000
    cold = perf_counter() - begun
    begun = perf_counter()
    for n in range(40):
        decide("P2", at, at + timedelta(minutes=30), calendar, frozenset({f"c{n}"}))
    verdicts = (perf_counter() - begun) / 40
    assert list(open_stretches("P2", at, at + timedelta(days=30), calendar, frozenset({"c1"})))
    assert cold < 3, f"{cold:.2f} s for two years of 200 rules, nothing known before"
    assert verdicts < 0.05, f"{verdicts * 1000:.1f} ms a verdict"
