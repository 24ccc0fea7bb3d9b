"""Texts in Markdown: shown as their author laid them out, and nothing of them runs (F45)."""

from __future__ import annotations

import pytest

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
