"""Between the editor's form and a rule's values. The form speaks of weekdays and days;
`windows.rules.fields` takes rules and instants.
"""

from __future__ import annotations

import re
from typing import Any

from django.http import QueryDict

from windows.calendar.recurrence import rule_parts
from windows.models import Closure, MaintenanceWindow
from windows.rules import fields
from windows.rules.wording import WEEKDAYS

#: Kinds that one may make, and the model that keeps them.
KINDS = {"window": "window", "opening": "window", "closing": "closure"}
LISTS = ("days", "priorities", "admits")
PLAIN_WEEKLY = {"FREQ", "INTERVAL", "BYDAY"}


def typed(post: QueryDict) -> dict[str, Any]:
    """What was typed, to show it again."""
    found: dict[str, Any] = {name: post.get(name, "")[:20_000] for name in post}
    return found | {name: post.getlist(name) for name in LISTS}


def values(kind: str, post: dict[str, Any]) -> dict[str, Any]:
    """A form's fields as `fields.clean` takes them."""
    return _closure_values(post) if KINDS[kind] == "closure" else _window_values(kind, post)


def _window_values(kind: str, post: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": post.get("name", ""),
        "rule": "" if kind == "opening" else _rule(post),
        "begins": f"{post.get('begins_day', '')}T{post.get('begins_time', '')}",
        "minutes": _minutes(post.get("minutes", "")),
        "zone": post.get("zone", "UTC"),
        "priorities": post["priorities"],
        "scope": post.get("scope", ""),
        "capacity": post.get("capacity", ""),
        "until": None if kind == "opening" else post.get("until", ""),
        "skips": [] if kind == "opening" else post.get("skips", ""),
    }


def _minutes(text: str) -> str:
    """3:00, 3 h and 180 are the same; whatever is none of these is left for `fields.clean` to
    refuse.
    """
    if found := re.fullmatch(r"\s*(\d{1,2}):([0-5]\d)\s*", text) or re.fullmatch(
        r"\s*(\d{1,2})\s*h\s*(\d{1,2})?(?:\s*min)?\s*", text
    ):
        return str(int(found[1]) * 60 + int(found[2] or 0))
    return text


def _rule(post: dict[str, Any]) -> str:
    """The RRULE that the choices amount to; whatever cannot be one is left for `fields.clean` to
    refuse.
    """
    repeat, every = post.get("repeat", ""), post.get("every", "").strip() or "1"
    interval = "" if every == "1" else f";INTERVAL={every}"
    if repeat == "daily":
        return f"FREQ=DAILY{interval}"
    if repeat == "weekly":
        days = [day for day in WEEKDAYS if day in post["days"]]
        return f"FREQ=WEEKLY{interval};BYDAY={','.join(days)}"
    if repeat == "monthly":
        return f"FREQ=MONTHLY{interval};BYDAY={post.get('nth', '')}{post.get('nth_day', '')}"
    return str(post.get("rule", "")) or "FREQ="


def _closure_values(post: dict[str, Any]) -> dict[str, Any]:
    found = {
        "name": post.get("name", ""),
        "kind": post.get("kind", ""),
        "admits": post["admits"],
        "scope": post.get("scope", ""),
    }
    if post.get("when") == "once":
        return found | {
            "first": None,
            "last": None,
            "starts": post.get("starts", ""),
            "ends": post.get("ends", ""),
        }
    return found | {
        "first": _day(post, "first"),
        "last": _day(post, "last"),
        "starts": None,
        "ends": None,
    }


def _day(post: dict[str, Any], name: str) -> dict[str, Any] | None:
    """One of the two days, of the kind chosen, with its offset."""
    by = post.get(f"{name}_by", "")
    parts = {
        "holiday": ("country", "holiday"),
        "date": ("month", "day"),
        "nth": ("month", "weekday", "nth"),
        "on": ("on",),
    }.get(by)
    if parts is None:
        return None
    found = {part: _number(post.get(f"{name}_{part}", "")) for part in parts}
    offset = _number(post.get(f"{name}_offset", "") or "0")
    return found | ({"offset": offset} if offset else {})


def _number(text: str) -> int | str:
    return int(text) if re.fullmatch(r"-?\d{1,4}", text.strip()) else text.strip()


def shown(kind: str, row: MaintenanceWindow | Closure | None) -> dict[str, Any]:
    """What the form says of a rule, or of a new one."""
    if row is None:
        return NEW | {"when": "once" if kind == "closing" else ""}
    sent = fields.as_sent(row)
    plain = {"name": sent["name"], "scope": ", ".join(sent["scope"])}
    plain |= {name: [] for name in ("days", "priorities", "admits")}
    return plain | (
        _shown_window(row, sent)
        if isinstance(row, MaintenanceWindow)
        else _shown_closure(row, sent)
    )


NEW: dict[str, Any] = {
    "zone": "UTC",
    "repeat": "weekly",
    "every": "1",
    "minutes": "120",
    "kind": "freeze",
    "first_by": "holiday",
    "first_country": "US",
    "last_by": "holiday",
    "last_country": "US",
    "priorities": ["P1", "P2", "P3"],
    "admits": ["P0"],
    "days": [],
}


def _shown_window(row: MaintenanceWindow, sent: dict[str, Any]) -> dict[str, Any]:
    return {
        "begins_day": sent["begins"][:10],
        "begins_time": sent["begins"][11:],
        "minutes": str(row.minutes),
        "zone": row.zone,
        "priorities": list(row.priorities),
        "capacity": str(row.capacity or ""),
        "until": sent["until"] or "",
        "skips": ", ".join(sent["skips"]),
        **_shown_rule(row),
    }


def _shown_closure(row: Closure, sent: dict[str, Any]) -> dict[str, Any]:
    plain = {
        "kind": row.kind,
        "admits": list(row.admits),
        "when": "once" if row.starts_at else "yearly",
        "starts": (sent["starts"] or "")[:16],
        "ends": (sent["ends"] or "")[:16],
    }
    for name in ("first", "last"):
        day = sent[name] or {}
        by = next((by for by in ("holiday", "on", "nth") if by in day), "date")
        plain |= {f"{name}_{part}": str(value) for part, value in day.items()} | {f"{name}_by": by}
    return plain


def _shown_rule(row: MaintenanceWindow) -> dict[str, Any]:
    if not row.rule:
        return {"repeat": "once", "rule": ""}
    parts = rule_parts(row.rule)
    days = parts.get("BYDAY", "").split(",") if parts.get("BYDAY") else []
    base: dict[str, Any] = {"every": parts.get("INTERVAL", "1"), "rule": row.rule, "repeat": "rule"}
    if parts["FREQ"] == "WEEKLY" and set(parts) <= PLAIN_WEEKLY:
        return base | {"repeat": "weekly", "days": days}
    if set(parts) <= {"FREQ", "INTERVAL"} and parts["FREQ"] == "DAILY":
        return base | {"repeat": "daily"}
    if (
        parts["FREQ"] == "MONTHLY"
        and set(parts) <= PLAIN_WEEKLY
        and len(days) == 1
        and len(days[0]) > 2
    ):
        return base | {
            "repeat": "monthly",
            "nth": days[0][:-2].lstrip("+"),
            "nth_day": days[0][-2:],
        }
    return base
