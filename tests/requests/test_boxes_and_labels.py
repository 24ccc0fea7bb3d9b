"""The template's head and its four approval boxes on the change's page; names of priorities."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group

from accounts.models import User
from changemgmt.tick import tick
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]
#: A box, ticked or not, and what stands beside it.
Box = tuple[bool, str]
SLOT, LATER = {"start": "2026-10-06T02:00Z"}, {"start": "2026-10-08T02:00Z"}
NOT_APPLICABLE: Box = (False, "Not applicable, by policy")
OPEN: Box = (False, "Open")
APPROVED: Box = (True, "Approved")
NOT_YET: Box = (False, "Not yet")
DOWNTIME = {"downtime_required": True, "downtime_minutes": 5}


@pytest.fixture(autouse=True)
def october(at: Any) -> None:
    at("2026-10-01T09:00Z")


def page(person: Desk, address: str) -> str:
    person.client.force_login(person.user)
    answer = person.client.get(address)
    assert answer.status_code == 200, address
    return answer.content.decode()


def words(fragment: str) -> list[str]:
    """What a reader sees of it, text by text."""
    texts = re.split(r"<[^>]*>", fragment)
    return [" ".join(html.unescape(text).split()) for text in texts if text.strip()]


def boxes(person: Desk, number: str) -> dict[str, Box]:
    """The four boxes R33 to R36 of the change's page; one that is not there is missing."""
    shown = page(person, f"/changes/{number}/").split("<h2>Approval</h2>")[1].split("</section>")[0]
    found: dict[str, Box] = {}
    for item in re.findall(r'<li class="step .*?</li>', shown, re.DOTALL):
        label, word, *more = words(item)
        name = re.match("technical|security|business|implementation", label.lower())
        if name is not None:
            beside = f"{word}, {more[0]}" if word == "Not applicable" else word
            found[name.group()] = ("#circle-check" in item, beside)
    return found


def box_table(technical: Box, security: Box, business: Box, scheduled: Box) -> dict[str, Box]:
    return {
        "technical": technical,
        "security": security,
        "business": business,
        "implementation": scheduled,
    }


def test_each_review_ticks_its_own_box_and_the_booking_the_last(desk: Sit) -> None:
    """R33, R34, R35, R36, A2, A15: before and after every step of a P2's road."""
    engineer = desk("engineer")
    number = str(engineer.submit("P2", affects_network=True)["id"])
    assert boxes(engineer, number) == box_table(OPEN, OPEN, OPEN, NOT_YET)
    desk("security").decide(number, "security")
    assert boxes(engineer, number) == box_table(OPEN, APPROVED, OPEN, NOT_YET)
    desk("tech-lead").decide(number, "technical")
    assert boxes(engineer, number) == box_table(APPROVED, APPROVED, OPEN, NOT_YET)
    desk("product-manager").decide(number, "business")
    assert boxes(engineer, number) == box_table(APPROVED, APPROVED, APPROVED, NOT_YET)
    desk("eng-manager").decide(number, "sign_off")
    desk("devops-lead").decide(number, "sign_off")
    assert boxes(engineer, number) == box_table(APPROVED, APPROVED, APPROVED, NOT_YET)
    engineer.post(f"/changes/{number}/schedule", SLOT)
    booked = (True, "Tue 6 Oct 02:00")
    assert boxes(engineer, number) == box_table(APPROVED, APPROVED, APPROVED, booked)


def test_a_draft_has_no_box_ticked(desk: Sit) -> None:
    """R33, R34, R35, R36: nothing is complete before it was asked for."""
    number = str(desk("engineer").create("P2", affects_network=True)["id"])
    found = boxes(desk("engineer"), number)
    assert {name: ticked for name, (ticked, _) in found.items()} == {
        "technical": False,
        "security": False,
        "business": False,
    }


@pytest.mark.parametrize(
    ("priority", "facts", "security", "business"),
    [
        ("P1", {}, NOT_APPLICABLE, OPEN),
        ("P2", {}, NOT_APPLICABLE, OPEN),
        ("P2", {"components": ["payments"]}, OPEN, OPEN),
        ("P3", {}, NOT_APPLICABLE, NOT_APPLICABLE),
        ("P3", {"affects_data_access": True}, OPEN, NOT_APPLICABLE),
        ("P3", DOWNTIME, NOT_APPLICABLE, OPEN),
        ("P3", {"users_affected": True}, NOT_APPLICABLE, OPEN),
    ],
)
def test_a_box_that_policy_does_not_ask_for_says_so(
    desk: Sit,
    priority: str,
    facts: dict[str, Any],
    security: Box,
    business: Box,
) -> None:
    """R34, R35, A2: "not applicable, by policy", for everybody who reads it."""
    number = str(desk("engineer").submit(priority, **facts)["id"])
    for reader in ("engineer2", "auditor"):
        expected = box_table(OPEN, security, business, NOT_YET)
        assert boxes(desk(reader), number) == expected


def test_a_box_not_asked_for_stays_so_when_all_is_approved(desk: Sit) -> None:
    """R34, R35, R36, A2, A7, A15: a P3 through its two verdicts, then booked by itself."""
    number = str(desk("engineer").submit("P3")["id"])
    desk("senior-devops").decide(number, "technical")
    expected = box_table(APPROVED, NOT_APPLICABLE, NOT_APPLICABLE, NOT_YET)
    assert boxes(desk("engineer"), number) == expected
    desk("devops").decide(number, "sign_off")
    booked = (True, "Tue 6 Oct 02:00")
    expected = box_table(APPROVED, NOT_APPLICABLE, NOT_APPLICABLE, booked)
    assert boxes(desk("engineer"), number) == expected


def test_the_last_box_follows_the_booking(desk: Sit, at: Any) -> None:
    """R36, A15: moved it says where to; given up, missed or cancelled it is not ticked any more."""
    number = approved(desk)

    def box(verb: str, body: dict[str, str]) -> Box:
        desk("engineer").post(f"/changes/{number}/{verb}", body)
        return boxes(desk("engineer"), number)["implementation"]

    assert box("schedule", SLOT) == (True, "Tue 6 Oct 02:00")
    assert box("schedule", LATER) == (True, "Thu 8 Oct 02:00")
    assert box("unschedule", {"reason": "Not yet"}) == NOT_YET
    assert box("schedule", LATER) == (True, "Thu 8 Oct 02:00")
    at("2026-10-08T03:59:59Z")
    assert tick()["missed_slots"] == 0
    at("2026-10-08T04:00Z")
    assert tick()["missed_slots"] == 1
    assert boxes(desk("engineer"), number)["implementation"] == NOT_YET
    assert box("schedule", {"start": "2026-10-13T02:00Z"}) == (True, "Tue 13 Oct 02:00")
    assert box("cancel", {"reason": "Not needed"}) == NOT_YET


def approved(desk: Sit) -> str:
    number = str(desk("engineer").submit("P2")["id"])
    for who, kind in (
        ("tech-lead", "technical"),
        ("product-manager", "business"),
        ("eng-manager", "sign_off"),
        ("devops-lead", "sign_off"),
    ):
        desk(who).decide(number, kind)
    return number


def test_an_edit_unticks_the_reviews(desk: Sit) -> None:
    """R33, R35, A2: what was reviewed stands there no more; a verdict of no ticks neither."""
    engineer, number = desk("engineer"), approved(desk)
    engineer.patch(f"/changes/{number}", {"version": 1, "reason": "Another"})
    assert boxes(engineer, number) == box_table(OPEN, NOT_APPLICABLE, OPEN, NOT_YET)
    desk("tech-lead").decide(number, "technical", "request_changes", comment="More")
    assert boxes(engineer, number)["technical"] == (False, "Changes requested")
    other = str(engineer.submit("P2")["id"])
    desk("tech-lead").decide(other, "technical", "reject", comment="No")
    assert boxes(engineer, other)["technical"] == (False, "Rejected")


def test_an_emergency_needs_no_slot_and_ticks_its_reviews_afterwards(desk: Sit) -> None:
    """R33, R35, R36, R74, A2: at any time; the reviews appear when it has ended."""
    number = str(desk("engineer").submit("P0")["id"])
    assert boxes(desk("engineer"), number) == {"implementation": (False, "At any time")}
    desk("cto").decide(number, "emergency")
    desk("oncall").post(f"/changes/{number}/schedule", {"start": "2026-10-02T02:00Z"})
    booked = (True, "Fri 2 Oct 02:00")
    assert boxes(desk("engineer"), number) == {"implementation": booked}
    desk("oncall").post(f"/changes/{number}/unschedule", {"reason": "Now"})
    desk("oncall").post(f"/changes/{number}/start")
    desk("oncall").post(f"/changes/{number}/fail", {"reason": "It did not help"})
    desk("tech-lead").decide(number, "technical")
    found = boxes(desk("engineer"), number)
    assert (found["technical"], found["business"]) == (APPROVED, OPEN)


# --- number, date, requester -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("instants", "numbers"),
    [
        (
            ("2026-10-01T00:00:00Z", "2026-10-01T23:59:59Z", "2026-10-02T00:00:00Z"),
            ["CR-2026-10-01-001", "CR-2026-10-01-002", "CR-2026-10-02-001"],
        ),
        (
            ("2026-10-02T01:59:59+02:00", "2026-10-02T02:00:00+02:00", "2026-10-02T02:00:01+02:00"),
            ["CR-2026-10-01-001", "CR-2026-10-02-001", "CR-2026-10-02-002"],
        ),
    ],
)
def test_the_number_has_the_utc_day_of_its_creation(
    desk: Sit,
    at: Any,
    instants: tuple[str, ...],
    numbers: list[str],
) -> None:
    """R14, R16, A14: CR-YYYY-MM-DD-XXX, counted from 001 every day; so has the page."""
    found = []
    for instant in instants:
        at(instant)
        change = desk("engineer").create("P3", requested_date=None)
        assert change["created_at"][:10] == change["id"][3:13]
        head = page(desk("engineer"), f"/changes/{change['id']}/").split('class="change-head"')[1]
        assert change["id"] in words(head.split("</header>")[0])
        found.append(change["id"])
    assert found == numbers


def test_a_cancelled_draft_keeps_its_number(desk: Sit) -> None:
    """R14, A14: given at creation, never reused; submitting does not change it."""
    engineer = desk("engineer")
    first = engineer.create("P3")["id"]
    engineer.post(f"/changes/{first}/cancel", {"reason": "Not needed"})
    second = engineer.create("P3")["id"]
    assert engineer.post(f"/changes/{second}/submit")["id"] == second
    assert (first, second) == ("CR-2026-10-01-001", "CR-2026-10-01-002")


@pytest.mark.parametrize(
    ("username", "name", "role"),
    [
        ("engineer", "Ines Moreau", "Engineer"),
        ("senior-devops", "Sade Okafor", "Senior DevOps engineer"),
        ("product-manager", "Lena Vogt", "Product manager"),
        ("cto", "Helen Park", "CTO"),
    ],
)
def test_the_requester_stands_there_with_name_and_role(
    desk: Sit,
    username: str,
    name: str,
    role: str,
) -> None:
    """R15: on the change's page, for whoever reads it; in the API the username."""
    change = desk(username).submit("P2")
    assert (change["requester"], change["requester_role"]) == (username, role)
    head = page(desk("auditor"), f"/changes/{change['id']}/").split('id="facts"')[1]
    assert f"{name}, {role}" in words(head.split("</header>")[0])


def test_the_requesters_role_is_that_at_submission(desk: Sit) -> None:
    """R15, A22: not that of the draft, and not a later one."""
    engineer, person = desk("engineer"), User.objects.get(username="engineer")
    number = str(engineer.create("P2")["id"])
    person.groups.set(Group.objects.filter(name="tech-lead"))
    assert engineer.post(f"/changes/{number}/submit")["requester_role"] == "Tech lead"
    person.groups.set(Group.objects.filter(name="engineer"))
    assert engineer.get(f"/changes/{number}")["requester_role"] == "Tech lead"
    assert "Ines Moreau, Tech lead" in words(page(desk("auditor"), f"/changes/{number}/"))


# --- the names of the priorities ---------------------------------------------------------------

LABELS = ["P0 Emergency", "P1 Standard", "P2 Standard", "P3 Normal"]


def test_the_list_is_filtered_by_the_documents_names(desk: Sit) -> None:
    """R2, R6, R10, R17, A1: in this order."""
    shown = page(desk("engineer"), "/changes/")
    choice = shown.split('name="priority"')[1].split("</select>")[0]
    assert words(choice.partition(">")[2]) == ["Any priority", *LABELS]


def test_the_form_offers_the_documents_names(desk: Sit) -> None:
    """R2, R6, R10, R17, A1: each priority with its category."""
    shown = page(desk("engineer"), "/changes/new")
    choice = shown.split('id="id_priority"')[1].split("</fieldset>")[0]
    offered = [words(label) for label in re.findall(r"<label>(.*?)</label>", choice, re.DOTALL)]
    categories = [(name, re.split("[:,]", text)[0]) for name, text in offered]
    assert categories == [
        ("P0", "Emergency"),
        ("P1", "Standard"),
        ("P2", "Standard"),
        ("P3", "Normal"),
    ]


def test_the_report_counts_by_the_documents_names(desk: Sit) -> None:
    """R127, R128, R129, R130, A1: on its page, in Markdown and in CSV, in this order."""
    manager = desk("manager")
    shown = page(manager, "/reports/2026-09/").split('id="cat"')[1].split("</dl>")[0]
    names = [words(term) for term in re.findall(r"<dt>(.*?)</dt>", shown, re.DOTALL)]
    assert [" ".join(name) for name in names] == LABELS
    text = manager.get("/reports/monthly/2026-09.md")
    lines = text.split("### Change Categories\n")[1].split("\n\n")[0].splitlines()
    assert lines == [f"- {label}: 0" for label in LABELS]
    table = manager.get("/reports/monthly/2026-09.csv").splitlines()
    rows = [line for line in table if line.startswith('"Change Categories"')]
    assert rows == [f'"Change Categories","{label}","0"' for label in LABELS]
