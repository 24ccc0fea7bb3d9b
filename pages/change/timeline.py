"""The trail of one change as sentences: what people read under it (experience.md: one timeline of
everything).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from accounts.models import User
from accounts.roles import label as role_label
from approvals.models import Decision
from approvals.policy.policy import KIND_LABELS
from audit.models import Event
from language import say
from requests.cleaning import label
from requests.models import Comment

Data = Mapping[str, Any]
Said = str | Callable[[Data], str]
DIFFED = {"change.edit", "change.revise"}
#: Said by the decision itself.
SILENT = {"change.reject", "change.request_changes", "approval.open_round"}


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


def _booked(data: Data) -> str:
    return f"booked the slot {_at(data.get('start'))}" + (
        f", {data['window']} window" if data.get("window") else ""
    )


def _way_back(data: Data) -> str:
    return "recovery" if data.get("no_way_back") else "rollback"


def _window_moved(data: Data) -> str:
    now = data.get("after", {})
    return f"Its window is now {now.get('window', '')}, until {_at(now.get('end'))}"


def _edited(data: Data) -> str:
    count = len(data.get("fields", {}))
    return f"edited {count} field{'' if count == 1 else 's'}"


def _revised(data: Data) -> str:
    if "denied" in data:
        return f"denied the approval by telephone: round {data.get('round', '')}"
    return f"{_edited(data)}. Earlier verdicts no longer count: round {data.get('round', '')}"


def _whom(data: Data) -> str:
    return str(
        data.get("name")
        or (f"every {role_label(data['role']).lower()}" if data.get("role") else "somebody")
    )


def _noted(data: Data) -> str:
    fields = data.get("fields", {})
    if list(fields) == ["confidential"]:
        return (
            "marked it confidential"
            if fields["confidential"][1] in (True, "True", "true", "yes")
            else "made it visible to everybody"
        )
    return f"changed {' and '.join(label(name).lower() for name in fields)}"


TICKED = {"done": "ticked", "skipped": "skipped", "failed": "marked as failed", "open": "reopened"}
#: action → (tone, icon, what is said after the person's name)
SENTENCES: dict[str, tuple[str, str, Said]] = {
    "change.create": (
        "neutral",
        "pencil-line",
        lambda d: "created the draft" + (" as a copy" if d.get("copied_from") else ""),
    ),
    "change.submit": (
        "accent",
        "send",
        lambda d: f"submitted it: in review, round {d.get('round', '')}",
    ),
    "change.approve": (
        "ok",
        "circle-check",
        lambda d: (
            "It goes on without authorisation, which is to be ratified"
            if d.get("unauthorised")
            else "The last approval was given: approved"
        ),
    ),
    "change.edit": ("neutral", "pencil-line", _edited),
    "change.revise": ("warn", "git-compare", _revised),
    "change.note": ("neutral", "pencil-line", _noted),
    "change.escalate": ("danger", "siren", "raised it to P0"),
    "change.schedule": ("accent", "calendar-clock", _booked),
    "change.reschedule": (
        "accent",
        "calendar-clock",
        lambda d: f"moved it to {_at(d.get('start'))}",
    ),
    "change.unschedule": (
        "warn",
        "calendar-x",
        lambda d: {"missed": "missed its slot", "displaced": "lost its slot"}.get(
            d.get("kind", ""), "gave up the slot"
        ),
    ),
    "change.requested_window_refused": (
        "warn",
        "calendar-x",
        lambda d: f"The requested window, {_at(d.get('start'))}, was not free",
    ),
    "change.foreseen": (
        "warn",
        "calendar-clock",
        lambda d: f"It would not start: {' '.join(d.get('reasons', []))}",
    ),
    "change.window_moved": ("neutral", "calendar-clock", _window_moved),
    "change.opening_asked": (
        "neutral",
        "calendar-plus",
        lambda d: f"asked for a one-off opening, {_at(d.get('start'))}",
    ),
    "change.split": ("neutral", "split", "made a further part of another change"),
    "change.no_slot": ("warn", "calendar-x", "No slot within 90 days fits"),
    "change.start": (
        "accent",
        "play",
        "started it. Calendar, approvals and checklist were judged again",
    ),
    "change.finish": ("accent", "flag", "finished the steps; verification began"),
    "change.complete": ("ok", "check-check", "completed it"),
    "change.late_record_ask": ("warn", "clock", "asked that it is recorded late"),
    "change.roll_back": (
        "danger",
        "undo-2",
        lambda d: f"began the {_way_back(d)} ({d.get('trigger', 'manual').replace('_', ' ')})",
    ),
    "change.finish_rollback": ("danger", "undo-2", lambda d: f"finished the {_way_back(d)}"),
    "change.fail": ("danger", "circle-x", "recorded it as failed"),
    "change.close": ("neutral", "archive", "Everything owed is in: closed"),
    "change.cancel": ("neutral", "ban", "cancelled it"),
    "change.lapse": ("warn", "hourglass", "The approval lapsed unused"),
    "change.transfer": ("neutral", "user-check", "handed it to another requester"),
    "change.grant": ("neutral", "lock", lambda d: f"let {_whom(d)} see it"),
    "change.ungrant": ("neutral", "lock", lambda d: f"took back from {_whom(d)} that they see it"),
    "change.take_over": ("neutral", "user-check", "took over the implementation"),
    "change.extend": (
        "warn",
        "alarm-clock-plus",
        lambda d: f"extended the slot by {d.get('minutes', '')} minutes",
    ),
    "change.overrun": ("warn", "clock", "It ran past its slot"),
    "change.exception_asked": (
        "warn",
        "snowflake",
        lambda d: f"asked for a freeze exception, {_at(d.get('slot_start'))}",
    ),
    "change.exception_declined": (
        "danger",
        "snowflake",
        lambda d: (
            f"{'took back' if d.get('was_granted') else 'declined'} the freeze exception for"
            f" {_at(d.get('slot_start'))}"
        ),
    ),
    "change.freeze_exception": (
        "warn",
        "snowflake",
        lambda d: (
            f"{'granted the' if d.get('granted') else 'gave one of two grants of the'} freeze"
            f" exception for {_at(d.get('slot_start'))}"
        ),
    ),
    "change.suggest": (
        "neutral",
        "message-square",
        lambda d: f"suggested text for {label(d.get('field', '')).lower()}",
    ),
    "change.suggestion_accepted": (
        "ok",
        "check",
        lambda d: f"took over the text suggested for {label(d.get('field', '')).lower()}",
    ),
    "change.suggestion_declined": (
        "neutral",
        "x",
        lambda d: f"declined the text suggested for {label(d.get('field', '')).lower()}",
    ),
    "approval.add_security": ("warn", "shield", "added a security review"),
    "approval.advance": (
        "ok",
        "circle-check",
        lambda d: f"signed the {KIND_LABELS.get(d.get('kind', ''), 'step').lower()} in advance",
    ),
    "approval.advance_back": ("neutral", "undo-2", "took a sign-off in advance back"),
    "approval.remind": ("neutral", "bell", "Those who could decide were reminded"),
    "approval.escalate": ("warn", "bell", "It is stuck: the change managers were told"),
    "approval.window_passed": (
        "warn",
        "calendar-x",
        "The window asked for passed while it was in review",
    ),
    "approval.assess": (
        "warn",
        "arrow-down",
        lambda d: f"lowered the risk from {d.get('from', '')} to {d.get('to', '')}",
    ),
    "approval.call_next": (
        "warn",
        "phone",
        "Nobody has authorised it: the next contact on duty is called",
    ),
    "approval.ratify": (
        "warn",
        "siren",
        lambda d: (
            "ratified the start before authorisation"
            if d.get("answer") == "ratified"
            else "did not ratify the start before authorisation"
        ),
    ),
    "approval.ratification_overdue": (
        "danger",
        "clock",
        "The start before authorisation was not ratified within 24 hours",
    ),
    "approval.confirmation_overdue": (
        "danger",
        "clock",
        "An approval by telephone was not confirmed within 24 hours",
    ),
    "implementation.check_accept": ("warn", "check", "accepted a failed check"),
    "implementation.checklist": (
        "neutral",
        "list-checks",
        lambda d: f"{TICKED.get(d.get('state', ''), '')} “{d.get('text', '')}”",
    ),
    "implementation.checklist_add": ("neutral", "list-checks", "added a checklist item"),
    "implementation.issue": (
        "warn",
        "triangle-alert",
        lambda d: f"opened issue {d.get('n', '')}, {d.get('severity', '')}: {d.get('summary', '')}",
    ),
    "implementation.issue_edit": (
        "neutral",
        "triangle-alert",
        lambda d: f"{'resolved' if d.get('resolved_at') else 'updated'} issue {d.get('n', '')}",
    ),
    "implementation.review": (
        "neutral",
        "book-open",
        lambda d: "wrote the post-implementation review" + (", late" if d.get("late") else ""),
    ),
    "implementation.review_confirm": ("ok", "check", "confirmed the review"),
    "implementation.review_overdue": (
        "danger",
        "clock",
        "The post-implementation review is overdue",
    ),
    "implementation.documentation_overdue": (
        "danger",
        "clock",
        "The emergency's documentation is overdue",
    ),
    "implementation.document": ("neutral", "file-text", "supplied the emergency's documentation"),
}
VERDICTS = {
    "approve": ("ok", "circle-check", "approved the {step}"),
    "reject": ("danger", "circle-x", "rejected it in the {step}"),
    "request_changes": ("warn", "corner-up-left", "requested changes in the {step}"),
    "waive": ("neutral", "circle-slash", "waived the {step}"),
}


def readable(events: Iterable[Event]) -> list[Event]:
    """Without the edits that a draft saved while it was typed; they stand in the History and Audit
    tabs.
    """
    events = list(events)
    submitted = next((event.pk for event in events if event.action == "change.submit"), None)
    typing = {"change.edit", "change.note"}
    return [
        event
        for event in events
        if event.action not in typing or (submitted is not None and event.pk > submitted)
    ]


def _decided(data: Data, decision: Decision | None) -> tuple[str, str, str]:
    tone, icon, text = VERDICTS[data.get("verdict", "waive")]
    said = text.format(step=KIND_LABELS.get(data.get("kind", ""), "step").lower())
    if decision and decision.stand_in_id and decision.stand_in:
        said = f"{said}, as stand-in for {decision.stand_in.instead_of}"
    if decision and decision.delegation_id:
        return tone, icon, f"{said}, for {decision.principal}"
    if decision and decision.on_behalf_of:
        return "warn", "phone", f"recorded that {decision.on_behalf_of} {said} by telephone"
    return tone, icon, said


def _plain(action: str, data: Data) -> tuple[str, str, str]:
    """(tone, icon, sentence) of an event, said after the person's name."""
    match action:
        case "implementation.log" if data.get("kind") == "deviation":
            return "neutral", "route", "recorded a deviation"
        case "implementation.log":
            return "neutral", "notebook-pen", "noted"
        case "implementation.check" if data.get("passed"):
            return "ok", "circle-check", f"recorded that the check “{data.get('name', '')}” passed"
        case "implementation.check":
            return "danger", "circle-x", f"recorded that the check “{data.get('name', '')}” failed"
        case "approval.confirm" if data.get("answer") == "approved":
            return "ok", "phone", "confirmed the approval by telephone"
        case "approval.confirm":
            return "danger", "phone", "did not approve it by telephone"
    tone, icon, said = SENTENCES.get(
        action, ("neutral", "info", action.replace(".", " ").replace("_", " "))
    )
    return tone, icon, said if isinstance(said, str) else said(data)


QUOTED = ("reason", "message", "note", "override_reason", "short_notice_reason")


def changed_between(events: Iterable[Event]) -> list[tuple[str, str, str]]:
    """What a run of edits came to: (label, what it said before the first, what it said after the
    last); what was undone is left out.
    """
    first: dict[str, str] = {}
    last: dict[str, str] = {}
    for event in events:
        for name, (before, after) in (event.said.get("fields") or {}).items():
            first.setdefault(name, before or "")
            last[name] = after or ""
    return [(label(name), first[name], last[name]) for name in first if first[name] != last[name]]


def entries(
    events: Iterable[Event],
    comments: Iterable[Comment],
    decisions: Mapping[int, Decision],
    people: Mapping[int, User],
) -> list[Entry]:
    """Events and comments as one list, in the order given; `decisions` and `people` are those that
    the events point at, by key.
    """
    texts = {comment.pk: comment.text for comment in comments}
    found = []
    for event in events:
        data, group = event.said, "everything"
        if event.action in SILENT:
            continue
        if event.action == "approval.decide":
            decision = decisions.get(data.get("decision", 0))
            tone, icon, text = _decided(data, decision)
            quote, group = decision.comment if decision else "", "decisions"
        elif event.action == "change.comment":
            tone, icon, text = "neutral", "message-square", "commented"
            quote, group = texts.get(data.get("comment", 0), ""), "comments"
        else:
            named = {"name": str(people[data["person"]])} if data.get("person") in people else {}
            tone, icon, text = _plain(event.action, {**data, **named})
            text += ", as a stand-in" if data.get("stand_in") else ""
            quote = str(next((data[name] for name in QUOTED if data.get(name)), ""))
        fields = data.get("fields", {}) if event.action in DIFFED else {}
        diffs = [
            (label(name), before or "", after or "") for name, (before, after) in fields.items()
        ]
        text = (
            text if event.actor else text[:1].upper() + text[1:]
        )  # nobody's name stands before it
        found.append(Entry(event.pk, event.at, event.actor, tone, icon, text, quote, diffs, group))
    return found
