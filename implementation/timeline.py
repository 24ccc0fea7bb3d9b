"""The trail of one change as sentences: what people read under it (experience.md: one timeline of everything)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from approvals.policy import KIND_LABELS
from audit.models import Event
from requests import say
from requests.cleaning import label
from requests.models import Comment


@dataclass(frozen=True)
class Entry:
    """One line of the timeline; `quote` is what a person wrote, `diffs` what changed."""

    id: int
    at: datetime
    who: Any
    tone: str
    icon: str
    text: str
    quote: str = ""
    diffs: list[tuple[str, str, str]] = field(default_factory=list)
    group: str = "everything"


def _at(value: str | None) -> str:
    return say.say_instant(datetime.fromisoformat(value)) if value else ""


def readable(events: Iterable[Event]) -> list[Event]:
    """Without the edits that a draft saved while it was typed; they stand in the History and Audit tabs."""
    events = list(events)
    submitted = next((event.pk for event in events if event.action == "change.submit"), None)
    return [event for event in events if event.action != "change.edit" or (submitted is not None and event.pk > submitted)]


def _decision(data: dict[str, Any]) -> tuple[str, str, str]:
    step = KIND_LABELS.get(data.get("kind", ""), "step").lower()
    match data.get("verdict"):
        case "approve":
            return "ok", "circle-check", f"approved the {step}"
        case "reject":
            return "danger", "circle-x", f"rejected it in the {step}"
        case "request_changes":
            return "warn", "corner-up-left", f"requested changes in the {step}"
        case _:
            return "neutral", "circle-slash", f"waived the {step}"


def _plain(action: str, data: dict[str, Any]) -> tuple[str, str, str]:
    """(tone, icon, sentence) of an event, said after the person's name."""
    sentences: dict[str, tuple[str, str, str]] = {
        "change.create": (
            "neutral",
            "pencil-line",
            f"created the draft{', a copy of ' + data['copied_from'] if data.get('copied_from') else ''}",
        ),
        "change.submit": ("accent", "send", f"submitted it: in review, round {data.get('round', '')}"),
        "change.approve": ("ok", "circle-check", "The last approval was given: approved"),
        "change.edit": ("neutral", "pencil-line", f"edited {len(data.get('fields', {}))} fields"),
        "change.revise": (
            "warn",
            "git-compare",
            f"edited {len(data.get('fields', {}))} fields. Earlier verdicts no longer count: round {data.get('round', '')}",
        ),
        "change.note": ("neutral", "pencil-line", "changed what is noted beside the content"),
        "change.escalate": ("danger", "siren", "raised it to P0"),
        "change.schedule": (
            "accent",
            "calendar-clock",
            f"booked it: {_at(data.get('start'))}{', ' + data['window'] + ' window' if data.get('window') else ''}",
        ),
        "change.reschedule": ("accent", "calendar-clock", f"moved it to {_at(data.get('start'))}"),
        "change.unschedule": ("warn", "calendar-x", "gave up the slot"),
        "change.requested_window_refused": ("warn", "calendar-x", f"The requested window, {_at(data.get('start'))}, was not free"),
        "change.no_slot": ("warn", "calendar-x", "No slot within 90 days fits"),
        "change.start": ("accent", "play", "started it. Calendar, approvals and checklist were judged again"),
        "change.finish": ("accent", "flag", "finished the steps; verification began"),
        "change.complete": ("ok", "check-check", "completed it"),
        "change.roll_back": ("danger", "undo-2", f"began the rollback ({data.get('trigger', 'manual').replace('_', ' ')})"),
        "change.finish_rollback": ("danger", "undo-2", "finished the rollback"),
        "change.fail": ("danger", "circle-x", "recorded it as failed"),
        "change.close": ("neutral", "archive", "Everything owed is in: closed"),
        "change.cancel": ("neutral", "ban", "cancelled it"),
        "change.lapse": ("warn", "hourglass", "The approval lapsed unused"),
        "change.transfer": ("neutral", "user-check", "handed it to another requester"),
        "change.take_over": ("neutral", "user-check", "took over the implementation"),
        "change.extend": ("warn", "alarm-clock-plus", f"extended the slot by {data.get('minutes', '')} minutes"),
        "change.overrun": ("warn", "clock", "It ran past its slot"),
        "change.freeze_exception": (
            "warn",
            "snowflake",
            "granted a freeze exception" if data.get("granted") else "gave one of two grants of a freeze exception",
        ),
        "implementation.log": (
            "neutral",
            "notebook-pen" if data.get("kind") != "deviation" else "route",
            "noted" if data.get("kind") != "deviation" else "recorded a deviation",
        ),
        "implementation.check": (
            "ok" if data.get("passed") else "danger",
            "circle-check" if data.get("passed") else "circle-x",
            f"check “{data.get('name', '')}” {'passed' if data.get('passed') else 'failed'}",
        ),
        "implementation.check_accept": ("warn", "check", "accepted a failed check"),
        "implementation.checklist": ("neutral", "list-checks", f"{data.get('state', '')}: {data.get('text', '')}"),
        "implementation.checklist_add": ("neutral", "list-checks", "added a checklist item"),
        "implementation.issue": (
            "warn",
            "triangle-alert",
            f"opened issue {data.get('n', '')}, {data.get('severity', '')}: {data.get('summary', '')}",
        ),
        "implementation.issue_edit": (
            "neutral",
            "triangle-alert",
            f"{'resolved' if data.get('resolved_at') else 'updated'} issue {data.get('n', '')}",
        ),
        "implementation.review": ("neutral", "book-open", "wrote the post-implementation review" + (", late" if data.get("late") else "")),
        "implementation.review_confirm": ("ok", "check", "confirmed the review"),
        "implementation.review_overdue": ("danger", "clock", "The post-implementation review is overdue"),
        "implementation.document": ("neutral", "file-text", "supplied the emergency's documentation"),
    }
    return sentences.get(action, ("neutral", "info", action.replace(".", " ").replace("_", " ")))


def entries(events: Iterable[Event], comments: Iterable[Comment], quotes: dict[int, str]) -> list[Entry]:
    """Events and comments as one list, in the order given; `quotes` maps a decision's key to its comment."""
    texts = {comment.pk: comment.text for comment in comments}
    found = []
    for event in events:
        data, quote, group = event.data, "", "everything"
        if event.action in ("change.reject", "change.request_changes"):
            continue  # said by the decision itself
        if event.action == "approval.decide":
            tone, icon, text = _decision(data)
            quote, group = quotes.get(data.get("decision", 0), ""), "decisions"
        elif event.action == "change.comment":
            tone, icon, text = "neutral", "message-square", "commented"
            quote, group = texts.get(data.get("comment", 0), ""), "comments"
        else:
            tone, icon, text = _plain(event.action, data)
            quote = (
                data.get("reason")
                or data.get("message")
                or data.get("note")
                or data.get("override_reason")
                or data.get("short_notice_reason")
                or ""
            )
        diffs = (
            [(label(name), before or "", after or "") for name, (before, after) in data.get("fields", {}).items()]
            if event.action in DIFFED
            else []
        )
        found.append(Entry(event.pk, event.at, event.actor, tone, icon, text, str(quote), diffs, group))
    return found


DIFFED = {"change.edit", "change.revise"}
