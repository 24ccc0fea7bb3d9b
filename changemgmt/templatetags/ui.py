"""The small parts that every page is made of: icons, badges, instants, texts. The only place that marks HTML as safe."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from typing import Any
from xml.etree import ElementTree

import lucide
import nh3
from django import template
from django.template.defaultfilters import stringfilter
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

from accounts.roles import label as role_label
from approvals.models import Step
from approvals.policy import policy
from approvals.rounds import reminders
from requests.content import BY_NAME
from requests.models import ChangeRequest
from requests.states import State

register = template.Library()

#: state → (tone, icon, extra class)
STATES: dict[str, tuple[str, str, str]] = {
    State.DRAFT: ("neutral", "pencil-line", "state-off"),
    State.IN_REVIEW: ("accent", "eye", ""),
    State.CHANGES_REQUESTED: ("warn", "corner-up-left", ""),
    State.APPROVED: ("ok", "circle-check", ""),
    State.SCHEDULED: ("accent", "calendar-clock", ""),
    State.IMPLEMENTING: ("accent", "play", "state-now"),
    State.VERIFYING: ("accent", "scan-eye", "state-now"),
    State.ROLLING_BACK: ("danger", "undo-2", "state-now"),
    State.COMPLETED: ("ok", "check-check", ""),
    State.ROLLED_BACK: ("danger", "undo-2", ""),
    State.FAILED: ("danger", "circle-x", ""),
    State.CLOSED: ("neutral", "archive", ""),
    State.REJECTED: ("danger", "x", "state-off"),
    State.CANCELLED: ("neutral", "ban", "state-off"),
}
STEP_STATES: dict[str, tuple[str, str, str]] = {
    "waiting": ("neutral", "circle-dashed", "Waiting"),
    "open": ("accent", "circle-dot", "Open"),
    "approved": ("ok", "circle-check", "Approved"),
    "rejected": ("danger", "circle-x", "Rejected"),
    "changes_requested": ("warn", "corner-up-left", "Changes requested"),
    "waived": ("neutral", "circle-slash", "Waived"),
    "stale": ("neutral", "history", "Superseded"),
}
#: Everything that `icon` may name; `/icons.svg` holds exactly these.
ICONS = sorted(
    {icon for _, icon, _ in STATES.values()}
    | {icon for _, icon, _ in STEP_STATES.values()}
    | {
        "house",
        "pencil",
        "split",
        "list",
        "inbox",
        "calendar",
        "upload",
        "calendar-clock",
        "calendar-plus",
        "rss",
        "circle-question-mark",
        "octagon-alert",
        "terminal",
        "chart-column",
        "scroll-text",
        "settings",
        "search",
        "menu",
        "plus",
        "x",
        "check",
        "lock",
        "copy",
        "clock",
        "hourglass",
        "siren",
        "triangle",
        "triangle-alert",
        "moon",
        "radio",
        "snowflake",
        "ban",
        "calendar-check",
        "calendar-x",
        "git-compare",
        "git-merge",
        "git-branch",
        "ticket",
        "book-open",
        "message-square",
        "send",
        "user",
        "users",
        "user-check",
        "user-x",
        "log-out",
        "key",
        "shield",
        "shield-check",
        "list-checks",
        "chevron-left",
        "chevron-right",
        "chevron-down",
        "file-text",
        "download",
        "flask-conical",
        "paperclip",
        "notebook-pen",
        "route",
        "alarm-clock-plus",
        "circle-check",
        "circle-x",
        "bell",
        "phone",
        "sun",
        "info",
        "arrow-down",
        "arrow-right",
        "undo-2",
        "play",
        "flag",
        "timer",
        "smartphone",
        "mail",
        "link",
        "pencil-line",
        "archive",
        "sun-moon",
    }
)


@lru_cache(maxsize=512)
def icon(name: str, size: str = "") -> SafeString:
    """An icon as decoration: the words beside it carry the meaning."""
    if name not in ICONS:
        raise ValueError(f"the icon {name!r} is not in the sprite; add it to ICONS")
    extra = f" icon-{size}" if size else ""
    return format_html('<svg class="icon{}" aria-hidden="true"><use href="/icons.svg#{}"></use></svg>', extra, name)


register.simple_tag(icon)


def sprite() -> str:
    """The symbols of all icons in use, from the lucide package."""
    symbols = []
    for name in ICONS:
        svg = ElementTree.fromstring(lucide._render_icon(name, None))  # noqa: S314  # our own package's file
        inner = "".join(ElementTree.tostring(child, encoding="unicode") for child in svg)
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24">{inner}</symbol>')
    return f'<svg xmlns="http://www.w3.org/2000/svg">{"".join(symbols)}</svg>'


# --- badges ----------------------------------------------------------------------------------------------------------------------


@register.filter
def measure(value: float | str | None, unit: str) -> str:
    """38.0 min; a dash where there is nothing to average."""
    return "–" if value is None or value == "" else f"{value} {unit}"


@register.filter
@lru_cache(maxsize=64)
def state(value: str, size: str = "") -> SafeString:
    """A change's state: icon and word, never colour alone."""
    tone, name, extra = STATES[value]
    return format_html(
        '<span class="state tone-{} {} {}">{}{}</span>', tone, extra, f"state-{size}" if size else "", icon(name), State(value).label
    )


@register.filter
def state_label(value: str) -> str:
    return State(value).label if value in State.values else value


BARS = mark_safe(
    '<rect x="1" y="8" width="3" height="5" rx="1" class="{}"/><rect x="5.5" y="5" width="3" height="8" rx="1" class="{}"/>'
    '<rect x="10" y="1" width="3" height="12" rx="1" class="{}"/>'
)
SIREN = mark_safe(
    '<rect width="14" height="14" rx="3"/><path d="M7 3v5M7 10.6v.4" stroke="#fff" stroke-width="1.8" stroke-linecap="round"/>'
)


@register.filter
@lru_cache(maxsize=16)
def prio(value: str) -> SafeString:
    """P0 to P3: bars show rank, the word says it."""
    if not value:
        return mark_safe('<span class="prio prio-3">–</span>')
    rank = int(value[1])
    drawing = SIREN if rank == 0 else format_html(BARS, *["" if bar >= rank else "off" for bar in (3, 2, 1)])
    return format_html('<span class="prio prio-{}"><svg viewBox="0 0 14 14" aria-hidden="true">{}</svg>{}</span>', rank, drawing, value)


@register.filter
@lru_cache(maxsize=16)
def risk(value: str, spoken: str = "") -> SafeString:
    """Low risk stays silent in lists; outside a labelled field the word risk is said."""
    if not value or (value == "low" and spoken):
        return SafeString("")
    word = ChangeRequest.Risk(value).label + (" risk" if spoken else "")
    mark = icon("triangle-alert", "sm") if value == "high" else ""
    return format_html('<span class="risk risk-{}">{}{}</span>', value, mark, word)


@register.simple_tag
def comps(change: ChangeRequest) -> SafeString:
    return format_html_join(" ", '<span class="comp">{}</span>', ((component.slug,) for component in change.components.all()))


@register.filter
def avatar(person: Any) -> SafeString:
    return format_html('<span class="avatar" aria-hidden="true">{}</span>', str(person)[:1].upper())


@register.filter
def role(value: str) -> str:
    return role_label(value)


@register.filter
def roles(value: list[str], word: str = "or") -> str:
    from accounts.roles import listed

    return listed(value, word)


@register.filter
def decide_by(step: Step) -> datetime | None:
    """Until when a verdict on the step is expected."""
    return reminders.decide_by(step)


@register.filter
def stage_label(steps: list[Any]) -> str:
    """What the stage of these steps is called."""
    return policy.stage_label(step.kind for step in steps)


@register.simple_tag(takes_context=True)
def suggest(context: dict[str, Any], name: str) -> SafeString:
    """Beside a text of a change, for whoever may word it better."""
    if not context.get("may_suggest"):
        return SafeString("")
    words = '<a class="suggest small" href="{}suggest/{}">Suggest<span class="visually-hidden"> another text for {}</span></a>'
    return format_html(words, context["change"].get_absolute_url(), name, field_label(name).lower())


VERB_ICONS = {"roll_back": "undo-2", "escalate": "siren", "fail": "circle-x", "unschedule": "calendar-x", "cancel": "ban"}


@register.filter
def verb_icon(name: str) -> str:
    return VERB_ICONS[name]


@register.filter
def step_tone(value: str) -> str:
    return STEP_STATES[value][0]


@register.filter
def step_icon(value: str) -> SafeString:
    return icon(STEP_STATES[value][1])


@register.filter
def step_word(value: str) -> str:
    return STEP_STATES[value][2]


@register.filter
def field_label(name: str) -> str:
    return BY_NAME[name].label if name in BY_NAME else name.replace("_", " ").capitalize()


# --- texts -----------------------------------------------------------------------------------------------------------------------

_markdown = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable("table")
_TAGS = {
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
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
}


@register.filter
@stringfilter
def markdown(text: str) -> SafeString:
    """Markdown as sanitised HTML: an allow-list of tags, links only to the web and mail, no images."""
    html = re.sub(r"<(/?)h[1256]>", r"<\1h4>", _markdown.render(text))
    clean = nh3.clean(html, tags=_TAGS, attributes={"a": {"href", "title"}, "ol": {"start"}}, url_schemes={"http", "https", "mailto"})
    return mark_safe(clean)  # noqa: S308


@register.filter
def steps(text: str) -> SafeString:
    """A plan whose every line is one step as a numbered list; any other as its author laid it out."""
    from implementation.run.steps import steps_of

    found = steps_of(text)
    plain = all(step.level == 1 and not (step.more or step.command or step.group) for step in found)
    if len(found) < 2 or not plain or len(found) != sum(bool(line.strip()) for line in text.splitlines()):
        return SafeString(markdown(text))
    return format_html("<ol>{}</ol>", format_html_join("", "<li>{}</li>", ((step.text,) for step in found)))


@register.filter
def linked(item: str) -> SafeString:
    """A dependency: a change's number as a link, anything else as text."""
    if re.fullmatch(r"CR-\d{4}-\d{2}-\d{2}-\d{3,}", item):
        return format_html('<a href="/changes/{}/">{}</a>', item, item)
    return format_html("{}", item)


# --- forms and addresses -----------------------------------------------------------------------------------------------------------


@register.filter
def get(mapping: Any, key: Any) -> Any:
    """An entry of a mapping whose key is a variable."""
    return mapping.get(key) if mapping else None


@register.simple_tag(takes_context=True)
def query(context: dict[str, Any], **changes: Any) -> str:
    """The present query string with some parameters changed; empty ones removed; a new filter begins at the first page."""
    params = context["request"].GET.copy()
    params.pop("cursor", None)
    for name, value in changes.items():
        if value in (None, ""):
            params.pop(name, None)
        else:
            params[name] = value
    return "?" + params.urlencode() if params else "?"


@register.simple_tag(takes_context=True)
def here(context: dict[str, Any], name: str) -> SafeString:
    """aria-current for the navigation entry that the page belongs to."""
    path = context["request"].path
    target = reverse(name)
    is_here = path == target if target == "/" else path.startswith(target)
    return SafeString(' aria-current="page"') if is_here else SafeString("")


@register.filter
def control(field: Any) -> SafeString:
    """A form field's widget with Bootstrap's class."""
    checkbox = getattr(field.field.widget, "input_type", "") == "checkbox"
    return SafeString(field.as_widget(attrs={"class": "form-check-input" if checkbox else "form-control"}))


@register.filter
def split_comma(text: str) -> list[str]:
    return text.split(",")


@register.filter
def triples(text: str) -> list[list[str]]:
    """“a|b|c;d|e|f” as rows, for choices that only a template knows."""
    return [row.split("|") for row in text.split(";")]


@register.filter
def json(value: Any) -> str:
    """Data as it is kept, on one line."""
    import json as codec

    return codec.dumps(value, ensure_ascii=False)
