"""How states look, and the icons that pages name: one sprite, served as `/icons.svg`."""

from __future__ import annotations

from functools import cache
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


def sprite_address(name: str) -> str:
    """Where the icon is. Raises ValueError for one that the sprite does not hold."""
    if name not in ICONS:
        raise ValueError(
            f"the icon {name!r} is not in the sprite; add it to ICONS in pages/rendering/icons.py"
        )
    return f"/icons.svg#{name}"


@cache
def sprite() -> str:
    """The symbols of all icons in use, from the lucide package."""
    symbols = []
    for name in ICONS:
        svg = ElementTree.fromstring(lucide._render_icon(name, None))  # noqa: S314  # our own package's file
        inner = "".join(ElementTree.tostring(child, encoding="unicode") for child in svg)
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24">{inner}</symbol>')
    return f'<svg xmlns="http://www.w3.org/2000/svg">{"".join(symbols)}</svg>'
