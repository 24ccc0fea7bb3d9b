"""The calendar in a real browser, with the real worker: dragged, edited with the consequence in
sight, locked down, on a phone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.sight import faults
from tests.product import Person, eventually
from tests.world import fields

pytestmark = pytest.mark.browser
Visit = Callable[..., Any]


def booked(product: str, start: str, component: str) -> str:
    people = {
        name: Person(product, name)
        for name in (
            "engineer",
            "tech-lead",
            "product-manager",
            "eng-manager",
            "devops-lead",
            "devops",
        )
    }
    made = people["engineer"].post(
        "/changes", fields("P2", components=[component], requested_date="2026-10-08"), expect=201
    )
    number = str(made["id"])
    people["engineer"].post(f"/changes/{number}/submit")
    people["tech-lead"].decide(number, "technical")
    people["product-manager"].decide(number, "business")
    people["eng-manager"].decide(number, "sign_off")
    people["devops-lead"].decide(number, "sign_off")
    people["devops"].post(f"/changes/{number}/schedule", {"start": start})
    return number


def test_a_booking_is_dragged_and_nothing_moves_before_the_button(
    visit: Visit, product: str
) -> None:
    """Item 6: the drop opens the verdict; its button books; a drop into the freeze says so and
    offers what fits.
    """
    number = booked(product, "2026-10-20T02:00Z", "message-bus")
    page = visit("devops")
    page.goto("/calendar/?at=2026-10")
    booking = page.locator(f".cal [data-change='{number}']").first
    booking.drag_to(page.locator(".cal [data-start='2026-10-22T02:00:00Z']").first)
    page.wait_for_url(re.compile(r"/calendar/move/"))
    assert "Nothing has been moved yet." in page.inner_text("main")
    assert (
        Person(product, "auditor").get(f"/changes/{number}")["slot"]["start"]
        == "2026-10-20T02:00:00Z"
    )
    page.get_by_role("button", name="Move it there").click()
    page.wait_for_url(re.compile(rf"/changes/{number}/"))
    assert (
        Person(product, "auditor").get(f"/changes/{number}")["slot"]["start"]
        == "2026-10-22T02:00:00Z"
    )


@pytest.mark.parametrize("script", [True, False], ids=["with JavaScript", "without JavaScript"])
def test_a_freeze_is_made_with_its_consequence_in_sight(
    visit: Visit, product: str, script: bool
) -> None:
    """Items 1, 2, 4: what it would displace is seen before it is saved, then it happens, and the
    requester is told by the worker.
    """
    day = "27" if script else "29"
    number = booked(product, f"2026-10-{day}T02:00Z", "message-bus")
    page = visit("change-manager", script=script, width=1280 if script else 390)
    page.goto("/calendar/rules/new/closing/")
    name = f"the audit of the {day}th"
    page.locator("[name=name]").fill(name)
    if script:
        page.locator("[name=starts]").fill(f"2026-10-{day}T00:00")
        page.locator("[name=ends]").fill(f"2026-10-{day}T23:00")
        page.locator("#consequence").get_by_text(number).wait_for()
        assert "would lose" in page.locator("#consequence").inner_text()
    else:
        page.locator("[name=starts]").fill(f"2026-10-{day}T00:00")
        page.get_by_role(
            "button", name="Save"
        ).click()  # without an end and a reason: told, and nothing typed is lost
        assert page.locator("[name=name]").input_value() == name
        page.locator("[name=ends]").fill(f"2026-10-{day}T23:00")
    page.locator("[name=reason]").fill("The auditors count")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Nothing is saved yet.").wait_for()
    assert number in page.locator("#consequence").inner_text()
    page.get_by_role("button", name="Save, and free 1 slot").click()
    page.wait_for_url(re.compile("/calendar/rules/$"))
    assert name.capitalize() in page.locator("main").inner_text()
    found = eventually(
        lambda: Person(product, "auditor").get(f"/changes/{number}")["state"] == "approved"
    )
    assert found
    engineer = visit("engineer")
    engineer.goto(f"/changes/{number}/")
    assert "Lost its slot" in engineer.content()
    assert name in engineer.content()


def test_everything_stops_and_goes_on(visit: Visit, product: str) -> None:
    """Item 5: stopped and lifted on a phone; every page of the calendar says so meanwhile."""
    page = visit("change-manager", width=390, theme="dark")
    page.goto("/calendar/lockdown/")
    page.locator("#id_reason").fill("Card payments fail")
    page.get_by_role("button", name="Stop now").click()
    page.wait_for_load_state()
    assert "in force" in page.content()
    engineer = visit("engineer")
    engineer.goto("/calendar/")
    assert "The lockdown holds since" in engineer.locator("main").inner_text()
    assert not Person(product, "engineer").get("/calendar/state?priority=P2&at=2026-10-13T02:00Z")[
        "open"
    ]
    page.locator("textarea[name=reason]").first.fill("Payments work again")
    page.get_by_role("button", name=re.compile("Lift it")).click()
    page.wait_for_load_state()
    assert Person(product, "engineer").get("/calendar/state?priority=P2&at=2026-10-13T02:00Z")[
        "open"
    ]


def test_the_agenda_alone_is_what_a_phone_shows(visit: Visit) -> None:
    """Item 6: the picture is for wide screens, the table for all, in any zone."""
    page = visit("engineer", width=390)
    page.goto("/calendar/")
    assert not page.locator(".cal").first.is_visible()
    assert page.locator("#agenda").is_visible()
    page.locator("[name=zone]").select_option("America/New_York")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url(re.compile("zone=America"))
    assert "Mon 5 Oct" in page.locator("main").inner_text()


def test_the_form_says_when_it_will_be_live(visit: Visit) -> None:
    """Item 8: the forecast follows what is typed."""
    page = visit("engineer2")
    page.goto("/changes/new")
    page.locator("label:has(input[name=priority][value=P2])").click()
    page.locator("[name=components]").fill("cdn")
    page.locator("[name=estimated_minutes]").fill("30")
    page.locator("[name=estimated_minutes]").blur()
    page.locator("#forecast").wait_for()
    assert re.search(
        r"Live probably .+, if submitted by .+ notice needs 24 h\.",
        page.locator("#forecast").inner_text(),
    )


def test_what_a_lockdown_would_stop_follows_what_is_typed(visit: Visit, product: str) -> None:
    """Item 5: named components alone; the token stays out of the address."""
    number = booked(product, "2026-11-03T02:00Z", "recommendations")
    page = visit("change-manager")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/calendar/lockdown/")
    page.locator("#id_components").press_sequentially("cdn")
    page.wait_for_timeout(1200)
    assert number not in page.locator("#would").inner_text()
    page.locator("#id_components").fill("")
    page.locator("#id_components").press_sequentially("recommendations")
    page.locator("#would").get_by_text(number).wait_for()
    assert not any("csrf" in url for url in asked)


def test_a_freeze_exception_is_asked_for_and_granted_by_two(visit: Visit, product: str) -> None:
    """A6: a booking dropped into the freeze asks; the CTO grants on the phone without scrolling,
    the change manager beside it.
    """
    number = booked(product, "2026-10-15T02:00Z", "build-farm")
    page = visit("engineer")
    page.goto(f"/calendar/move/?change={number}&start=2026-11-17T02:00Z")
    page.get_by_label("Why can it not wait until the freeze ends?").fill(
        "The old certificate ends on the 20th"
    )
    page.get_by_role("button", name="Ask for the exception").click()
    page.get_by_text("CTO and change managers have been asked.").wait_for()
    assert faults(page) == []
    phone = visit("cto", width=390, theme="dark")
    phone.get_by_role("link", name=f"{number} asks for a freeze exception").first.click()
    phone.locator("#next-step").get_by_role("button", name="Grant my half").click()
    phone.get_by_text("Your half of the exception is granted.").wait_for()
    assert faults(phone) == []
    manager = visit("change-manager")
    manager.goto(f"/changes/{number}/")
    manager.locator("#exceptions").get_by_role("button", name="Grant my half").click()
    manager.get_by_text("Your half of the exception is granted.").wait_for()
    page.goto(f"/changes/{number}/")
    page.locator("#exceptions").get_by_role("link", name="Book it").click()
    page.get_by_role("button", name="Move it there").click()
    page.wait_for_url(re.compile(rf"/changes/{number}/"))
    assert (
        Person(product, "auditor").get(f"/changes/{number}")["slot"]["start"]
        == "2026-11-17T02:00:00Z"
    )
