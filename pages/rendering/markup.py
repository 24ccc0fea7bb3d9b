"""The only place that marks HTML as safe: texts in Markdown, sanitised, and the widgets of Django's
forms.

Every function here is a filter of the templates.
"""

from __future__ import annotations

import re

import nh3
from django.forms import BoundField
from markdown_it import MarkdownIt
from markupsafe import Markup

from implementation.run.steps import steps_of

_markdown = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable("table")
_TEXT = {
    "p",
    "br",
    "strong",
    "em",
    "code",
    "pre",
    "ul",
    "ol",
    "li",
    "blockquote",
    "a",
    "h3",
    "h4",
    "hr",
}
_TAGS = _TEXT | {"table", "thead", "tbody", "tr", "th", "td"}


#: A text with more line ends and signs of Markdown than this, or with a table of so many cells, is
#: shown as it was typed: to lay it out would cost everybody who opens the page.
SIGNS = 1_000
CELLS = 5_000
_sign = re.compile(r"[\n*_`\[\]<>&|#]")


def _heavy(text: str) -> bool:
    if len(_sign.findall(text)) > SIGNS:
        return True
    widest = max((line.count("|") for line in text.splitlines()), default=0)
    return widest * (text.count("\n") + 1) > CELLS


def markdown(text: str | None) -> Markup:
    """Markdown as sanitised HTML: an allow-list of tags, links only to the web and mail, no
    images. What is too heavy to lay out is shown as it was typed.
    """
    text = text or ""
    if _heavy(text):
        return Markup("<pre>{}</pre>").format(text)
    html = re.sub(r"<(/?)h[1256]>", r"<\1h4>", _markdown.render(text))
    clean = nh3.clean(
        html,
        tags=_TAGS,
        attributes={"a": {"href", "title"}, "ol": {"start"}},
        url_schemes={"http", "https", "mailto"},
    )
    return Markup(clean)  # noqa: S704  # sanitised on the line above


def steps(text: str) -> Markup:
    """A plan whose every line is one step as a numbered list; any other as its author laid
    it out.
    """
    found = steps_of(text)
    plain = all(step.level == 1 and not (step.more or step.command or step.group) for step in found)
    if (
        len(found) < 2
        or not plain
        or len(found) != sum(bool(line.strip()) for line in text.splitlines())
    ):
        return markdown(text)
    items = Markup().join(Markup("<li>{}</li>").format(step.text) for step in found)
    return Markup("<ol>{}</ol>").format(items)


def control(field: BoundField) -> Markup:
    """A form field's widget with Bootstrap's class."""
    checkbox = getattr(field.field.widget, "input_type", "") == "checkbox"
    widget = field.as_widget(attrs={"class": "form-check-input" if checkbox else "form-control"})
    return Markup(widget)  # noqa: S704  # Django has escaped it
