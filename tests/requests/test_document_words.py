"""The document's own words, where people read them (X38)."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]


def read(person: Desk, address: str) -> str:
    """A page's text in lower case, with single spaces."""
    person.client.force_login(person.user)
    answer = person.client.get(address)
    assert answer.status_code == 200
    text = re.sub(r"<(script|style|svg).*?</\1>|<[^>]*>", " ", answer.content.decode(), flags=re.S)
    return " ".join(html.unescape(text).split()).lower()


@pytest.mark.parametrize(
    "box",
    [
        "Technical Review Complete",
        "Security Review Complete",
        "Business Approval Received",
        "Implementation Scheduled",
    ],
)
def test_the_boxes_have_the_documents_names(desk: Sit, at: Any, box: str) -> None:
    """R33, R34, R35, R36: on the page of a change in review."""
    at("2026-10-01T09:00Z")
    number = desk("engineer").submit("P2", affects_network=True)["id"]
    assert box.lower() in read(desk("engineer"), f"/changes/{number}/")


@pytest.mark.parametrize(
    ("priority", "label"),
    [("P0", "P0 Emergency"), ("P1", "P1 Standard"), ("P2", "P2 Standard"), ("P3", "P3 Normal")],
)
def test_a_change_is_called_by_the_documents_category(
    desk: Sit,
    at: Any,
    priority: str,
    label: str,
) -> None:
    """R2, R6, R10, R17, A1: the labels of the document are shown on the change's own page."""
    at("2026-10-01T09:00Z")
    number = desk("engineer").submit(priority)["id"]
    assert label.lower() in read(desk("engineer"), f"/changes/{number}/")


@pytest.mark.parametrize(
    ("priority", "words"),
    [
        ("P0", "Critical fixes for production outages or security vulnerabilities"),
        ("P1", "Regular feature releases, bug fixes, and improvements"),
        ("P2", "Regular feature releases, bug fixes, and improvements"),
        ("P3", "Minor updates, configuration changes, and maintenance"),
    ],
)
def test_each_priority_is_defined_where_it_is_chosen_and_shown(
    desk: Sit, at: Any, priority: str, words: str
) -> None:
    """R2, R6, R10, X38: on the form and on the change's page."""
    at("2026-10-01T09:00Z")
    assert words.lower() in read(desk("engineer"), "/changes/new")
    number = desk("engineer").submit(priority)["id"]
    assert words.lower() in read(desk("engineer"), f"/changes/{number}/")


def test_the_page_says_requestor_and_components_affected(desk: Sit, at: Any) -> None:
    """R15, R16, R20: name, role and date of the requestor; the components by the template's
    name.
    """
    at("2026-10-01T09:00Z")
    number = desk("engineer").submit("P2")["id"]
    page = read(desk("engineer"), f"/changes/{number}/")
    assert "components affected" in page
    person = desk("engineer").user
    assert f"requestor {person.name.lower()}, engineer, thu 1 oct" in page


def test_the_checklist_names_the_change_and_its_implementation_date(desk: Sit, at: Any) -> None:
    """R54: as the document's two variables, $changeId and $implementationDate."""
    at("2026-10-01T09:00Z")
    number = desk("engineer").submit("P3", requested_window={"start": "2026-10-06T02:00Z"})["id"]
    desk("tech-lead").decide(number, "technical")
    desk("devops2").decide(number, "sign_off")
    checklist = desk("devops").get(f"/changes/{number}/checklist")
    assert (checklist["change"], checklist["implementation_date"]) == (number, "2026-10-06")
    assert f"implementation checklist of {number.lower()}, 6 oct 2026" in read(
        desk("devops"), f"/changes/{number}/implementation/"
    )
