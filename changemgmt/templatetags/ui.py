"""The small parts that every page is made of: icons, badges, instants, texts. The only place that marks HTML as safe."""

from __future__ import annotations

import difflib
import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from xml.etree import ElementTree

import lucide
import nh3
from django import template
from django.template.defaultfilters import stringfilter
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

from accounts.roles import label as role_label
from requests import say
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
        "list",
        "inbox",
        "calendar",
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
def after(end: datetime | None, start: datetime | None) -> str:
    """How long it took: 38 min."""
    return say.say_length(end - start) if end and start else "–"


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


# --- time ------------------------------------------------------------------------------------------------------------------------


def _time(at: datetime, text: str) -> SafeString:
    return format_html('<time datetime="{}" title="{}">{}</time>', say.iso(at), f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC", text)


@register.filter
def instant(at: datetime | None) -> SafeString:
    """Tue 5 Jan 2027, 02:00 UTC."""
    return _time(at, say.say_instant(at)) if at else SafeString("")


@register.filter
def until(at: datetime | None) -> SafeString:
    """An end: Thu 26 Nov, 24:00 UTC."""
    return _time(at, say.say_until(at)) if at else SafeString("")


@register.filter
def short(at: datetime | None) -> SafeString:
    """Thu 8 Oct 02:00, with the year where it is not this one."""
    if not at:
        return SafeString("")
    day = say.say_day(at) if at.year == timezone.now().year else say.say_date(at)
    return _time(at, f"{day} {at.astimezone(UTC):%H:%M}")


@register.filter
def day(at: datetime | date | None) -> str:
    if not at:
        return ""
    return say.say_day(at) if at.year == timezone.now().year else say.say_date(at)


@register.filter
def relative(at: datetime | None) -> SafeString:
    """“in 1 d 11 h”, “6 min ago”; the instant itself on hover."""
    if not at:
        return SafeString("")
    distance = at - timezone.now()
    length = say.say_length(distance)
    return _time(at, f"in {length}" if distance > timedelta(0) else f"{length} ago")


@register.filter
def since(at: datetime | None) -> str:
    """How long ago, without “ago”."""
    return say.say_length(timezone.now() - at) if at else ""


@register.filter
def left(at: datetime | None) -> str:
    return say.say_length(at - timezone.now()) if at else ""


@register.simple_tag
def span(start: datetime | None, end: datetime | None) -> SafeString:
    """Thu 8 Oct, 02:00 to 04:00 UTC."""
    return _time(start, say.say_span(start, end)) if start and end else SafeString("")


@register.filter
def lasting(value: timedelta | int | None) -> str:
    if value is None:
        return ""
    return say.say_length(value if isinstance(value, timedelta) else timedelta(minutes=value))


@register.filter
def countdown(at: datetime) -> str:
    """h:mm:ss between now and the instant, in either direction; app.js goes on counting."""
    seconds = int(abs(at - timezone.now()).total_seconds())
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


@register.filter
def clock(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%H:%M}" if at else ""


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
    """A plan, one step a line, as a numbered list."""
    from implementation.checklist import lines_of

    lines = lines_of(text)
    if len(lines) < 2:
        return SafeString(markdown(text))
    return format_html("<ol>{}</ol>", format_html_join("", "<li>{}</li>", ((line,) for line in lines)))


@register.filter
def linked(item: str) -> SafeString:
    """A dependency: a change's number as a link, anything else as text."""
    if re.fullmatch(r"CR-\d{4}-\d{2}-\d{2}-\d{3,}", item):
        return format_html('<a href="/changes/{}/">{}</a>', item, item)
    return format_html("{}", item)


@register.simple_tag
@lru_cache(maxsize=256)
def diff(before: str, after: str) -> SafeString:
    """Line by line, with the changed words marked."""
    rows: list[SafeString] = []
    old, new = (before or "").splitlines(), (after or "").splitlines()
    for kind, i1, i2, j1, j2 in _pieces(old, new):
        if kind == "equal":
            kept = old[i1:i2]
            shown = kept if len(kept) <= 2 else [kept[0], "…", kept[-1]]
            rows += [format_html("<div>{}</div>", line) for line in shown]
        elif i2 - i1 == j2 - j1 == 1:
            rows += _words(old[i1], new[j1])
        else:
            rows += [format_html('<div class="del"><del>{}</del></div>', line) for line in old[i1:i2]]
            rows += [format_html('<div class="add"><ins>{}</ins></div>', line) for line in new[j1:j2]]
    return format_html_join("", "{}", ((row,) for row in rows))


#: Beyond so many pairs of pieces a comparison is not worth its time (it may take their number's square): all is shown as replaced.
COMPARED = 4000


def _pieces(old: list[str], new: list[str]) -> list[tuple[str, int, int, int, int]]:
    """What of two lists is equal and what replaced, as difflib's opcodes; the same beginning and end are set apart first."""
    shorter = min(len(old), len(new))
    head = next((index for index in range(shorter) if old[index] != new[index]), shorter)
    tail = next((index for index in range(shorter - head) if old[-1 - index] != new[-1 - index]), shorter - head)
    a, b = old[head : len(old) - tail], new[head : len(new) - tail]
    found = [("equal", 0, head, 0, head)] if head else []
    if len(a) * len(b) > COMPARED:
        found.append(("replace", head, head + len(a), head, head + len(b)))
    else:
        codes = difflib.SequenceMatcher(a=a, b=b, autojunk=False).get_opcodes()
        found += [(kind, head + i1, head + i2, head + j1, head + j2) for kind, i1, i2, j1, j2 in codes]
    return [*found, ("equal", head + len(a), len(old), head + len(b), len(new))] if tail else found


def _words(before: str, after: str) -> list[SafeString]:
    """One line that became another: both, with the words that went and came marked."""
    a, b = re.findall(r"\s+|\S+", before), re.findall(r"\s+|\S+", after)
    went, came = [], []
    for kind, i1, i2, j1, j2 in _pieces(a, b):
        went.append(format_html("{}" if kind == "equal" else "<del>{}</del>", "".join(a[i1:i2])) if i2 > i1 else "")
        came.append(format_html("{}" if kind == "equal" else "<ins>{}</ins>", "".join(b[j1:j2])) if j2 > j1 else "")
    return [
        format_html('<div class="{}">{}</div>', side, format_html_join("", "{}", ((part,) for part in parts)))
        for side, parts in (("del", went), ("add", came))
    ]


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
def iso(at: datetime) -> str:
    return say.iso(at)


@register.filter
def json(value: Any) -> str:
    """Data as it is kept, on one line."""
    import json as codec

    return codec.dumps(value, ensure_ascii=False)
