"""What people do on a change by click: declared once, asked for by the pages under the same
name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from django.http import QueryDict

from tests.world import Desk
from web.clicks import CLICKS, Posted, click

ROOT = Path(__file__).parents[3]
Sit = Callable[[str], Desk]


def test_every_form_of_the_pages_asks_for_a_click_that_is_declared() -> None:
    """house.md: a click is one function beside its subject; a button whose verb nobody declares
    would be a 404.
    """
    found: set[str] = set()
    for page in (ROOT / "templates").rglob("*.html"):
        found |= set(re.findall(r'action="[^"]*act/([a-z_-]+)"', page.read_text()))
    assert len(found) > 25
    assert found - set(CLICKS) == set()


def test_no_two_clicks_have_one_name() -> None:
    with pytest.raises(AssertionError, match="two clicks are called start"):
        click("start", "Started.")(lambda actor, number, posted: None)


@pytest.mark.parametrize(
    ("sent", "key", "answer"),
    [
        ("n=7&yes=yes", 7, True),
        ("n=-7&yes=no", 0, False),
        ("n=7.0&yes=maybe", 0, None),
        ("", 0, None),
        ("n=&yes=", 0, None),
    ],
)
def test_what_a_form_sent_is_read_without_surprise(
    sent: str, key: int, answer: bool | None
) -> None:
    posted = Posted(QueryDict(sent))
    assert (
        posted.key("n"),
        posted.answer("yes"),
        posted.text("nothing"),
        posted.text("nothing", "note"),
    ) == (key, answer, "", "note")


@pytest.mark.django_db
def test_clone_and_split_land_on_the_form_of_what_they_made(
    desk: Sit, at: Callable[[str], None]
) -> None:
    """A copy is a draft that its author fills in next; a next part waits for the one before it."""
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").create("P2")["id"])
    for verb, words in (("clone", "is a draft copy"), ("split", "is the next part and waits")):
        answer = desk("engineer").client.post(f"/changes/{number}/act/{verb}", follow=True)
        landed = answer.redirect_chain[-1][0]
        assert re.fullmatch(r"/changes/CR-[\d-]+/edit", landed)
        assert number not in landed
        assert words in answer.content.decode()
