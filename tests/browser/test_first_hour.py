"""The first hour of an installation: from nothing but the printed set-up link to the first closed
P2, by clicking and typing alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.browser.test_leave import link_in, mails_to
from tests.product import address_in, eventually, started

pytestmark = [pytest.mark.browser, pytest.mark.journey]
Stranger = Callable[..., Any]

WINDOW = datetime(2026, 10, 6, 2, tzinfo=UTC)  # R72: a Tuesday
PHONE, DESK = 390, 1280
FIRST_WORD, OWN_WORD = "lent until tonight 1", "nobody else knows 2"
STAFF = {
    "ines": ("Ines Moreau", ["DevOps engineer"]),
    "grace": ("Grace Lindqvist", ["DevOps lead", "Tech lead"]),
    "mary": ("Mary Okafor", ["Engineering manager"]),
}
SUMMARY = "Checkout: retry a payment once"
TYPED = {
    "Summary": SUMMARY,
    "Reason": "One payment in 300 fails on a time-out and would go through the second time.",
    "Implementation steps": "Switch the retry on for one node\nSwitch it on for all nodes",
    "Rollback plan": "Switch the retry off",
    "What was tried": "Switched it off again", "Where": "staging", "When": "2026-10-05",
    "Testing plan": "Pay with the test card.",
    "User impact": "None.", "Performance impact": "One call more for one payment in 300.",
    "Security impact": "None.",
    "Requested date": "2026-10-06", "Estimated duration": "20", "Rollback time": "10",
}  # fmt: skip
QUESTIONS = [
    "Does it affect how people sign in (authentication)?",
    "Does it affect who may do what (authorization)?",
    "Does it affect how data is read or stored (data access)?",
    "Does it affect the network configuration?",
    "Does it need downtime?",
    "Will users notice?",
]
TECHNICAL = [
    "Implementation steps are clear and complete",
    "Rollback plan is feasible and tested",
    "Testing plan covers all affected functionality",
    "Dependencies are identified and addressed",
    "Resource requirements are adequate",
    "The four security answers, all “no”, are right",
]
BUSINESS = [
    "Business value justified",
    "User impact acceptable",
    "Timeline aligns with business needs",
    "Resources allocated",
]


@pytest.fixture(scope="module")
def product_var(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("first-hour")


@pytest.fixture(scope="module")
def ready_line(product_var: Path) -> Iterator[str]:
    """What `DEMO=0 script/server` prints, a minute before the window, with nothing in it."""
    with started(product_var, clock="2026-10-06T01:59:00Z", demo=False) as line:
        yield line


@pytest.fixture(scope="module")
def product(ready_line: str) -> str:
    return address_in(ready_line)


def fits(page: Any) -> None:
    """Nothing scrolls sideways, at a desk or on a phone (experience.md)."""
    own = page.viewport_size
    for width in (DESK, PHONE):
        page.set_viewport_size({"width": width, "height": 900})
        over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert over <= 0, f"{page.url} scrolls {over} px sideways at {width}"
    page.set_viewport_size(own)


def press(
    page: Any, name: str | re.Pattern[str], *, role: str = "button", within: Any = None
) -> None:
    """Click what is called so; the page that answers is looked at in both widths."""
    with page.expect_navigation():
        (within or page).get_by_role(role, name=name).first.click()
    fits(page)


def follow(page: Any, name: str | re.Pattern[str], *, within: Any = None) -> None:
    press(page, name, role="link", within=within)


def says(page: Any, words: str) -> None:
    page.locator("main").get_by_text(words).first.wait_for()


def panel(page: Any, name: str) -> Any:
    return page.get_by_role("region", name=name, exact=True)


def sign_in(page: Any, username: str, word: str) -> None:
    page.goto("/")
    fits(page)
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password", exact=True).fill(word)
    press(page, "Sign in")


def add_person(admin: Any, username: str) -> None:
    name, roles = STAFF[username]
    follow(admin, "New person")
    admin.get_by_label("Username").fill(username)
    admin.get_by_label("Name", exact=True).fill(name)
    admin.get_by_label("Email").fill(f"{username}@example.com")
    admin.get_by_label("First password").fill(FIRST_WORD)
    for role in roles:
        admin.get_by_role("checkbox", name=role, exact=True).check()
    press(admin, "Save")
    says(admin, f"{name} is saved.")


def to_staffing(admin: Any) -> Any:
    """By the menu to what a P2 takes."""
    follow(admin, "Settings", within=admin.get_by_role("complementary", name="Main menu"))
    follow(admin, "Who it takes")
    return panel(admin, "P2")


def write(page: Any, start: datetime) -> None:
    """The form of a P2 for a start less than 24 hours away, which says why it cannot wait (A12)."""
    page.get_by_role("group", name="Priority").get_by_text("P2", exact=True).click()
    for label, text in TYPED.items():
        page.get_by_label(label, exact=True).fill(text)
    page.get_by_text("Choose from the catalogue").click()
    page.get_by_role("button", name="checkout").click()
    page.get_by_label("Risk", exact=True).select_option("Low")
    page.get_by_label("Dependencies").fill("none")
    for question in QUESTIONS:
        page.get_by_role("group", name=question).get_by_label("No", exact=True).check()
    page.get_by_label("Why it cannot wait").fill("Payments fail until it is on.")
    page.get_by_label("Requested window").fill(f"{start:%Y-%m-%dT%H:%MZ}")


def approve(page: Any, items: list[str]) -> None:
    """Every item of the review, and the sign-off with it (A2); nothing can be approved before."""
    says(page, f"To approve, tick {len(items)} more items below.")
    for item in [*items, "Give the sign-off, too"]:
        page.get_by_role("checkbox", name=item).check()
    press(page, "Approve")


def tick_off(page: Any, phase: str) -> None:
    section = panel(page, phase)
    found = [
        item.get_attribute("aria-label")
        for item in section.get_by_role("button", name=re.compile("^Done: ")).all()
    ]
    for name in found:
        with page.expect_navigation():
            section.get_by_role("button", name=name, exact=True).click()
    says(section.page, phase)
    assert section.get_by_role("button", name=re.compile("^Reopen: ")).count() == len(found)


def soon(var: Path) -> datetime:
    """The window's opening by the product's clock, or once that is near the first whole minute with
    time enough to approve before it.
    """
    kept = json.loads(next(var.glob("clock-*/clock.json")).read_text())
    ahead = datetime.now(UTC) + timedelta(seconds=kept["offset_seconds"] + 20)
    return max(WINDOW, ahead.replace(second=0, microsecond=0) + timedelta(minutes=1))


def test_from_the_set_up_link_to_the_first_closed_p2(
    stranger: Stranger, ready_line: str, product_var: Path
) -> None:
    """X16, R7, A2, A7, A12, A13, A28: the smallest staff of a P2, half of them on a phone; every
    page is looked at in both widths.
    """
    link = re.findall(r"http://\S+/setup/\S+", ready_line)[0]
    ada = stranger(width=DESK)
    ada.goto(link)
    fits(ada)
    for label, text in {
        "Username": "ada",
        "Your name": "Ada Byron",
        "E-mail": "ada@example.com",
        "Password": "short",
    }.items():
        ada.get_by_label(label).fill(text)
    press(ada, "Begin")
    says(ada, "This password is too short.")
    assert ada.get_by_label("Your name").input_value() == "Ada Byron"
    ada.get_by_label("Password").fill(OWN_WORD)
    press(ada, "Begin")
    says(ada, "You administer this installation now.")
    assert "The first change" in panel(ada, "Still missing").inner_text()

    assert "Dead with today's people" in to_staffing(ada).inner_text()
    follow(ada, "Home")
    follow(ada, "Add people")
    for username in STAFF:
        add_person(ada, username)
    assert "Works" in to_staffing(ada).inner_text()
    follow(ada, "Home")
    follow(ada, "Add components")
    follow(ada, "New component")
    for label, text in {
        "Short name": "checkout",
        "Name": "Checkout",
        "Team": "Shop",
        "Owner": "grace",
    }.items():
        ada.get_by_label(label, exact=True).fill(text)
    press(ada, "Save")
    says(ada, "Checkout is saved.")

    grace, mary, ines = stranger(width=DESK), stranger(width=PHONE), stranger(width=PHONE)
    sign_in(grace, "grace", FIRST_WORD)
    sign_in(mary, "mary", FIRST_WORD)
    sign_in(ines, "ines", FIRST_WORD)
    follow(ines, "Signed in as Ines Moreau")
    follow(ines, "Change the password")
    ines.get_by_label("Current Password").fill(FIRST_WORD)
    ines.get_by_label("New Password", exact=True).fill(OWN_WORD)
    ines.get_by_label("New Password (again)").fill(OWN_WORD)
    press(ines, "Change Password")
    says(ines, "Password successfully changed.")
    ines.get_by_role("button", name="Menu").click()
    follow(ines, "Home")

    follow(ines, "New change")
    start = soon(product_var)
    write(ines, start)
    press(ines, "Submit for review")
    number = re.findall(r"CR-2026-10-06-\d+", ines.url)[0]
    says(ines, f"{number} is submitted.")
    says(ines, "In review")

    grace.reload()
    follow(grace, re.compile(f"Review.*{number}"))
    approve(grace, TECHNICAL)
    says(grace, "It still waits for the business approval.")
    mary.goto(
        link_in(
            eventually(
                lambda: mails_to(
                    product_var, "mary@example.com", "waits for your business approval"
                )
            )[0]
        )
    )
    fits(mary)
    approve(mary, BUSINESS)
    says(
        mary,
        f"It is booked for Tue 6 Oct, {start:%H:%M} to {start + timedelta(minutes=30):%H:%M} UTC",
    )

    ines.get_by_role("button", name="Menu").click()
    follow(ines, "Home")
    follow(ines, re.compile(f"Prepare.*{number}"))
    run = ines.locator("#next-step")
    assert f"Its slot opens Tue 6 Oct 2026, {start:%H:%M} UTC" in run.inner_text()
    tick_off(ines, "Before the window")
    for name in ("Changes", "Calendar", "Reports"):
        follow(grace, name, within=grace.get_by_role("complementary", name="Main menu"))
    for name in (SUMMARY, "Implementation", "History", "Audit"):
        follow(mary, name)
    for name in ("Settings", "Duties", "Settings", "People and roles", "Ines Moreau"):
        follow(ada, name)
    ines.locator("#next-step[data-allowed=yes]").wait_for(timeout=120_000)
    press(ines, "Start", within=run)
    says(ines, "Started.")
    tick_off(ines, "Start of window")
    tick_off(ines, "During implementation")
    ines.get_by_text("Record a check…").click()
    record = panel(ines, "Record evidence")
    record.get_by_label("Name", exact=True).fill("A payment goes through")
    record.get_by_label("Output").fill("HTTP 200 in 312 ms")
    press(ines, "Passed", within=record)
    says(ines, "A payment goes through")
    press(ines, "Finish", within=run)
    says(ines, "verification and the 30-minute watch have begun")
    tick_off(ines, "After implementation")
    assert "to shorten it, give a reason" in run.inner_text()
    ines.get_by_label("To shorten the 30-minute watch, say why; it is reported.").fill(
        "No error in the first thousand payments."
    )
    press(ines, "Complete now")
    says(ines, "Completed. The review is due within 24 hours.")
    review = panel(ines, "Post-implementation review")
    review.get_by_label("Summary").fill("As planned.")
    review.get_by_label("Lessons learned").fill("The retry belongs into the template.")
    press(ines, "Write the review", within=review)
    says(ines, "Closed: everything owed is in.")
    assert "Closed" in ines.locator("#facts").inner_text()

    follow(ada, "Home")
    assert "The first change" not in panel(ada, "Still missing").inner_text()
    follow(ada, "Changes")
    follow(ada, SUMMARY)
    assert "Closed" in ada.locator("#facts").inner_text()
    assert "Everything owed is in: closed" in panel(ada, "Activity").inner_text()
    approval = ada.get_by_role("complementary", name="Approval, calendar and links").inner_text()
    assert "Grace Lindqvist, DevOps lead: approved" in approval
    assert "Mary Okafor, Engineering manager: approved" in approval
    ada.goto(link)
    says(ada, "An administrator has been made already")
