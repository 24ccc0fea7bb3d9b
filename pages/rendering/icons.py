"""How states look, and the icons that pages name: one sprite, served as `/icons.svg`."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from typing import NamedTuple
from xml.etree import ElementTree

import lucide

from requests.states import State


class Look(NamedTuple):
    """How a state is shown: never by colour alone."""

    tone: str
    icon: str
    word: str
    extra: str = ""


CHANGE_LOOKS: dict[str, Look] = {
    State.DRAFT: Look("neutral", "pencil-line", State.DRAFT.label, "state-off"),
    State.IN_REVIEW: Look("accent", "eye", State.IN_REVIEW.label),
    State.CHANGES_REQUESTED: Look("warn", "corner-up-left", State.CHANGES_REQUESTED.label),
    State.APPROVED: Look("ok", "circle-check", State.APPROVED.label),
    State.SCHEDULED: Look("accent", "calendar-clock", State.SCHEDULED.label),
    State.IMPLEMENTING: Look("accent", "play", State.IMPLEMENTING.label, "state-now"),
    State.VERIFYING: Look("accent", "scan-eye", State.VERIFYING.label, "state-now"),
    State.ROLLING_BACK: Look("danger", "undo-2", State.ROLLING_BACK.label, "state-now"),
    State.COMPLETED: Look("ok", "check-check", State.COMPLETED.label),
    State.ROLLED_BACK: Look("danger", "undo-2", State.ROLLED_BACK.label),
    State.FAILED: Look("danger", "circle-x", State.FAILED.label),
    State.CLOSED: Look("neutral", "archive", State.CLOSED.label),
    State.REJECTED: Look("danger", "x", State.REJECTED.label, "state-off"),
    State.CANCELLED: Look("neutral", "ban", State.CANCELLED.label, "state-off"),
}
STEP_LOOKS: dict[str, Look] = {
    "waiting": Look("neutral", "circle-dashed", "Waiting"),
    "open": Look("accent", "circle-dot", "Open"),
    "approved": Look("ok", "circle-check", "Approved"),
    "rejected": Look("danger", "circle-x", "Rejected"),
    "changes_requested": Look("warn", "corner-up-left", "Changes requested"),
    "waived": Look("neutral", "circle-slash", "Waived"),
    "stale": Look("neutral", "history", "Superseded"),
}
VERB_ICONS = {
    "roll_back": "undo-2",
    "escalate": "siren",
    "fail": "circle-x",
    "unschedule": "calendar-x",
    "cancel": "ban",
}

NAMED_IN_PAGES = """
    alarm-clock-plus arrow-down arrow-right bell book-open calendar calendar-check
    calendar-plus calendar-x chart-column check chevron-down chevron-left chevron-right
    circle-question-mark clock copy download file-text flag flask-conical git-branch
    git-compare git-merge hourglass house inbox info key link list list-checks lock log-out
    mail menu message-square moon notebook-pen octagon-alert paperclip pencil phone plus
    radio route rss scroll-text search send settings shield shield-check siren smartphone
    snowflake split sun sun-moon terminal ticket timer triangle triangle-alert upload user
    user-check user-x users
"""
#: Everything that `icon` may name; `/icons.svg` holds exactly these.
ICONS = sorted(
    {look.icon for look in (*CHANGE_LOOKS.values(), *STEP_LOOKS.values())}
    | set(NAMED_IN_PAGES.split())
)


#: (x, y, height) of the three bars by which P1 to P3 show their rank.
BARS = ((1, 8, 5), (5.5, 5, 8), (10, 1, 12))
PALE = ' opacity=".25"'


@cache
def symbols() -> dict[str, str]:
    """Name → symbol: lucide's icons, and how the priorities are drawn."""
    found = {}
    for name in ICONS:
        svg = ElementTree.fromstring(lucide._render_icon(name, None))  # noqa: S314  # our package's
        inner = "".join(ElementTree.tostring(child, encoding="unicode") for child in svg)
        found[name] = f'<symbol id="{name}" viewBox="0 0 24 24">{inner}</symbol>'
    for rank in range(4):
        drawing = _bars(rank) if rank else _siren()
        found[f"prio-{rank}"] = f'<symbol id="prio-{rank}" viewBox="0 0 14 14">{drawing}</symbol>'
    return found


def _siren() -> str:
    return (
        '<rect width="14" height="14" rx="3"/>'
        '<path d="M7 3v5M7 10.6v.4" stroke="#fff" stroke-width="1.8" stroke-linecap="round"/>'
    )


def _bars(rank: int) -> str:
    """As many of the bars are pale, from the right, as ranks lie above."""
    return "".join(
        f'<rect x="{x}" y="{y}" width="3" height="{height}" rx="1"'
        f"{PALE if place + rank > 3 else ''}/>"
        for place, (x, y, height) in enumerate(BARS)
    )


@cache
def sprite() -> str:
    """All symbols as one SVG, served as `/icons.svg`."""
    return f'<svg xmlns="http://www.w3.org/2000/svg">{"".join(symbols().values())}</svg>'


@cache
def _version() -> str:
    """Browsers keep the sprite for good, so that another one needs another address."""
    return sha256(sprite().encode()).hexdigest()[:6]


@cache
def sprite_address(name: str) -> str:
    """Where the icon is. Raises ValueError for one that the sprite does not hold."""
    if name not in symbols():
        raise ValueError(
            f"the icon {name!r} is not in the sprite; add it to ICONS in pages/rendering/icons.py"
        )
    return f"/icons.svg?{_version()}#{name}"
