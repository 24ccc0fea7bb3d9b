"""Texts in Markdown: shown as their author laid them out, and nothing of them runs (F45)."""

from __future__ import annotations

from time import process_time

import pytest
from markupsafe import escape

from pages.rendering.markup import markdown, steps


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("**a**", "<p><strong>a</strong></p>"),
        ("# a", "<h4>a</h4>"),
        ("### a", "<h3>a</h3>"),
        ("3. a", '<ol start="3">\n<li>a</li>\n</ol>'),
        (
            "[a](https://example.com)",
            '<p><a href="https://example.com" rel="noopener noreferrer">a</a></p>',
        ),
        ("[a](javascript:alert(1))", "<p>[a](javascript:alert(1))</p>"),
        ("<script>alert(1)</script>", "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>"),
        ("![a](https://example.com/a.png)", "<p></p>"),
        ("", ""),
        (None, ""),
    ],
)
def test_markdown_is_sanitised(text: str | None, expected: str) -> None:
    assert markdown(text).strip() == expected


def test_a_plan_of_single_lines_is_a_numbered_list() -> None:
    assert steps("stop <b>\nstart") == "<ol><li>stop &lt;b&gt;</li><li>start</li></ol>"


@pytest.mark.parametrize("text", ["only one", "- a\n  - b", "1. a\n2. b\n\n   more"])
def test_any_other_plan_stays_as_its_author_laid_it_out(text: str) -> None:
    assert steps(text) == markdown(text)


FLOODS = [
    ("- a\n", 1000),
    ("*a*", 500),
    ("[", 1000),
    ("a ", 10_000),
    ("_a ", 1000),
    ("[a](b)", 500),
    ("\n|" + "a|" * 20, 40),
]


@pytest.mark.parametrize(("piece", "times"), FLOODS)
def test_what_is_laid_out_costs_little(piece: str, times: int) -> None:
    """A change shows eight such texts in less than a second of CPU."""
    began = process_time()
    assert not markdown(piece * times).startswith("<pre>")
    assert process_time() - began < 0.125


@pytest.mark.parametrize(
    "text",
    ["- a\n" * 1001, "*" * 1001, "|a" * 1000 + "\n" + "|-" * 1000 + "\n" + "|\n" * 10, "<b>" * 800],
)
def test_what_is_too_heavy_is_shown_as_typed(text: str) -> None:
    assert markdown(text) == f"<pre>{escape(text)}</pre>"
