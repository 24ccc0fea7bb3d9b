"""Nobody stands without their next step or the reason why there is none: every state × priority ×
person (X10).

The table says whose step it is by the process alone. Whoever it names finds it on the change's
page, allowed or disabled with its reason; what the page allows the API's `actions` allow, and the
other way round; whoever it does not name reads where the change stands.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from tests.implementation.road import EVERYBODY
from tests.machine.test_who_may import (
    DEVOPS,
    IMPLEMENTER,
    MANAGER,
    ON_CALL,
    OPEN_STEPS,
    REQUESTER,
    REVIEWERS,
    STATES,
    Road,
)
from tests.tries import share
from tests.world import Desk, html_of

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]
ENDED = ("completed", "rolled_back", "failed")
#: Verbs that are a next step, not a way out: of those that are allowed, one must be offered.
STEPS = {"submit", "start", "finish", "complete", "finish_rollback", "schedule", "close"}


def whose(priority: str, state: str) -> dict[str, str]:
    """Person → their step: what the process asks of them, whether they may do it this minute or
    not.
    """
    deciders = {name for kind in OPEN_STEPS[priority] for name in REVIEWERS[kind]}
    owed = {
        name for kind in ("technical", "business") for name in REVIEWERS[kind]
    }  # an emergency's reviews, after its end
    match state:
        case "draft" | "changes_requested":
            return {REQUESTER: "submit"}
        case "in_review":
            alone = {ON_CALL: "start"} if priority == "P0" else {}  # A33
            signs = (
                set()
                if priority == "P0"
                else REVIEWERS["sign_off P3" if priority == "P3" else "sign_off"]
            )  # when their stage opens
            return {**dict.fromkeys(signs, "approve"), **dict.fromkeys(deciders, "decide"), **alone}
        case "approved" if priority == "P0":
            return {
                **dict.fromkeys((REQUESTER, MANAGER), "schedule"),
                **dict.fromkeys(DEVOPS, "start"),
            }
        case "approved":
            return dict.fromkeys({REQUESTER, MANAGER} | DEVOPS, "schedule")
        case "scheduled":
            return dict.fromkeys(DEVOPS, "start")
        case "implementing":
            return dict.fromkeys(DEVOPS, "finish")
        case "verifying":
            return dict.fromkeys(DEVOPS, "complete")
        case "rolling_back":
            return dict.fromkeys(DEVOPS, "finish_rollback")
        case "completed" | "rolled_back" | "failed":
            writes = dict.fromkeys((REQUESTER, IMPLEMENTER, MANAGER), "review")
            return {**(dict.fromkeys(owed, "decide") if priority == "P0" else {}), **writes}
        case _:
            return {}


def shown(username: str, number: str) -> tuple[str, bool, str, str]:
    """(step, whether it is allowed, the bar's title, why not), as the change's page says it."""
    client = Client()
    client.force_login(User.objects.get(username=username))
    html = unescape(html_of(client.get(f"/changes/{number}/")))
    if 'data-checks id="decide"' in html:
        return "decide", True, "decide", ""
    bar = html.split('aria-label="Your next step"')[1]
    found = re.search(r'data-next="([^"]*)" data-allowed="(yes|no)"', bar)
    title = re.search(r'<div class="what"><b>([^<]*)</b>', bar)
    why = re.search(r'id="why-not">.*?<span>(.*?)</span>', bar, re.S)
    assert found
    assert title
    return (
        found[1],
        found[2] == "yes",
        title[1].strip(),
        re.sub("<[^>]*>", "", why[1]).strip() if why else "",
    )


@pytest.mark.parametrize("priority", ["P0", "P1", "P2", "P3"])
@pytest.mark.parametrize("state", STATES)
def test_everybody_reads_their_step_or_where_it_stands(
    desk: Sit, at: Any, priority: str, state: str
) -> None:
    """X10, X8: page and `actions` together."""
    number, wrong = Road(desk, at).to(state, priority), []
    table = whose(priority, state)
    for username in share(
        EVERYBODY, 2, STATES.index(state) + ["P0", "P1", "P2", "P3"].index(priority)
    ):
        step, allowed, title, why = shown(username, number)
        actions = {
            action["name"]: action
            for action in desk(username).get(f"/changes/{number}/actions")["items"]
        }
        may = {name for name in STEPS if name in actions and actions[name]["allowed"]}
        if step != table.get(username, "none"):
            wrong.append(f"{username} finds {step}, not {table.get(username, 'none')}")
        if not title:
            wrong.append(f"{username} reads nothing about where it stands")
        if step in actions and allowed != actions[step]["allowed"]:
            wrong.append(
                f"{username}: the page says {step} {allowed}, actions say"
                f" {actions[step]['allowed']}"
            )
        if step == "none" and may:
            wrong.append(f"{username} may {may}, and the page offers nothing")
        if step not in ("none", "decide") and not allowed and not why:
            wrong.append(f"{username} finds {step} disabled without a reason")
    assert "\n".join(wrong) == "", (priority, state)
