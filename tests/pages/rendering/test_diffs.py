"""What became of a text: word by word, whatever its length (X19's neighbour: a flood of text is
shown in time).
"""

from __future__ import annotations

import random
import time

import pytest
from django.template import engines

from pages.rendering.diffs import diff_lines


def diff(before: str | None, after: str | None) -> str:
    return str(engines["jinja2"].env.get_template("parts/marks.html").module.diff(before, after))  # type: ignore[attr-defined]


def test_what_was_changed_is_marked_word_by_word() -> None:
    """The same beginning and end are set apart; what lies between is compared."""
    shown = diff("one\nSet it back to 20 min\nthree", "one\nSet it back to 30 min\nthree")
    assert "<del>20</del>" in shown
    assert "<ins>30</ins>" in shown
    assert shown.count("<div >one</div>") == shown.count("<div >three</div>") == 1
    assert diff("a", "a\nb").split("\n") == [
        "    <div >a</div>",
        '    <div class="add"><ins>b</ins></div>',
        "",
    ]
    assert diff(None, None) == ""


def test_what_was_typed_is_shown_as_it_is() -> None:
    assert "<ins> &lt;b&gt;</ins>" in diff("a", "a <b>")


def test_of_what_stayed_the_first_and_the_last_line_are_shown() -> None:
    kept = "\n".join("abcde")
    assert [pieces[0][1] for _, pieces in diff_lines(kept, kept + "\nf")] == ["a", "…", "e", "f"]


@pytest.mark.parametrize("join", [" ", "\n"])
def test_a_flood_of_changed_text_is_compared_in_time(join: str) -> None:
    rnd = random.Random(1)
    texts = [join.join(rnd.choice("abc") for _ in range(9_000)) for _ in range(2)]
    began = time.monotonic()
    assert "<ins>" in diff(*texts)
    assert time.monotonic() - began < 1
