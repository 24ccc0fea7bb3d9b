"""What one version of a report says otherwise than the one before: every line, and the events that
moved it (A31, X35).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.db.models import Q

from audit.models import Event
from reports.process_exceptions import FOUND_BY
from requests.models import ChangeRequest

ENDINGS = (
    "change.complete",
    "change.finish_rollback",
    "change.fail",
    "change.roll_back",
    "change.record",
    "change.close",
)
ISSUES = ("implementation.issue", "implementation.issue_edit", "change.finish_rollback")
#: The beginning of a line's name → the actions that can move it; the longest that fits counts.
MOVED_BY: dict[str, tuple[str, ...]] = {
    "": ENDINGS,
    "mttr": ISSUES,
    "issues": ISSUES,
    "open_issues": ISSUES,
    "caused_issue": (*ENDINGS, *ISSUES),
    "emergencies": (*ENDINGS, *ISSUES),
    "improvements": ("implementation.review", *ENDINGS),
    "lessons": ("implementation.review", *ENDINGS),
    "rejected": ("change.reject",),
    "cancelled": ("change.cancel",),
}
UNCOUNTED = ("title", "month")


def flat(figures: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Every figure and list by its name in the report's JSON, parts joined by dots."""
    for name, value in figures.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{before}{name}.")
        elif f"{before}{name}" not in UNCOUNTED:
            yield f"{before}{name}", value


def lines(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, Any]]:
    """`{line, from, to}` for whatever differs. A kind of exception that was not counted yet was
    none.
    """
    was, now = dict(flat(before)), dict(flat(after))

    def found(side: Mapping[str, Any], name: str) -> Any:
        return side.get(name, 0 if name.startswith("exceptions.") else None)

    names = [name for name in now if found(was, name) != found(now, name)]
    gone = [name for name in was if name not in now and was[name]]
    return [
        {"line": name, "from": found(was, name), "to": found(now, name)} for name in [*names, *gone]
    ]


def with_events(moved: list[dict[str, Any]], numbers: set[str], since: int) -> list[dict[str, Any]]:
    """Each line with the keys of the events after `since` that can have moved it: one query.
    `numbers` are the changes of both versions.
    """
    concerned = Q(change_id__in=ChangeRequest.objects.filter(number__in=numbers).values("pk"))
    beside = Q(action__in=("change.reject", "change.cancel", *ISSUES))
    news = list(
        Event.objects.filter(concerned | beside, pk__gt=since)
        .order_by("id")
        .values_list("pk", "action")
    )
    return [
        line | {"events": [key for key, action in news if action in _movers(line["line"])]}
        for line in moved
    ]


def _movers(line: str) -> tuple[str, ...]:
    if line.startswith("exceptions."):
        condition = FOUND_BY.get(line.removeprefix("exceptions."))
        return (*_actions(condition), *ENDINGS) if condition else ENDINGS
    return MOVED_BY[max((name for name in MOVED_BY if line.startswith(name)), key=len)]


def _actions(condition: Q) -> list[str]:
    """The actions that a condition on events names."""
    found: list[str] = []
    for child in condition.children:
        if isinstance(child, Q):
            found += _actions(child)
        elif isinstance(child, tuple) and child[0] == "action":
            found.append(child[1])
        elif isinstance(child, tuple) and child[0] == "action__in":
            found += child[1]
    return found
