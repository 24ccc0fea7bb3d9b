"""What a change says: its content, in the template's order, and what each priority must say of it
(R14-R32, A22).

The one list of content fields stands here. Form, page, API, diff, hash and completeness all read
it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

CHANGE, TECHNICAL, IMPACT, TIMELINE = "Change details", "Technical details", "Impact", "Timeline"
#: What the process means by each priority (R2, R6, R10).
DEFINITIONS = {
    "P0": "Critical fixes for production outages or security vulnerabilities",
    "P1": "Regular feature releases, bug fixes, and improvements",
    "P2": "Regular feature releases, bug fixes, and improvements",
    "P3": "Minor updates, configuration changes, and maintenance",
}
SECTIONS = (CHANGE, TECHNICAL, IMPACT, TIMELINE)
ALL = frozenset({"P0", "P1", "P2", "P3"})
STANDARD = frozenset({"P1", "P2"})
PLANNED = frozenset({"P1", "P2", "P3"})
EMERGENCY = frozenset({"P0"})


@dataclass(frozen=True)
class Field:
    """One field of the template. `needed_by` are the priorities that cannot be submitted without
    it.
    """

    name: str
    label: str
    section: str
    needed_by: frozenset[str]
    missing: str
    requirement: str = ""


FIELDS = (
    Field("priority", "Priority", CHANGE, ALL, "Choose P0, P1, P2 or P3.", "R17"),
    Field(
        "emergency_kind",
        "Kind of emergency",
        CHANGE,
        EMERGENCY,
        "Say whether it is a production outage or a security vulnerability.",
        "R2",
    ),
    Field(
        "emergency_reference",
        "Emergency reference",
        CHANGE,
        EMERGENCY,
        "Give the incident or advisory, or write “none yet”.",
        "A22",
    ),
    Field("actual_start", "Real start", CHANGE, frozenset(), "Say when the work began.", "A33"),
    Field(
        "actual_end",
        "Real end",
        CHANGE,
        frozenset(),
        "Say when the work ended, if it is over.",
        "A33",
    ),
    Field("summary", "Summary", CHANGE, ALL, "Say in one line what changes.", "R18"),
    Field("reason", "Reason", CHANGE, ALL, "Say why it is worth doing.", "R19"),
    Field("components", "Components affected", CHANGE, ALL, "Name at least one component.", "R20"),
    Field("risk", "Risk", CHANGE, ALL, "Choose low, medium or high.", "R21"),
    Field("risk_answers", "Risk questions", CHANGE, frozenset(), "Answer yes or no.", "A18"),
    Field(
        "implementation_steps",
        "Implementation steps",
        TECHNICAL,
        ALL,
        "Say what will be done, one step a line.",
        "R22",
    ),
    Field(
        "rollback_plan",
        "Rollback plan",
        TECHNICAL,
        ALL,
        "Say how to get back, one step a line.",
        "R23",
    ),
    Field(
        "rollback_tested",
        "Rollback evidence",
        TECHNICAL,
        STANDARD,
        "Say what was tried, where and when.",
        "A19",
    ),
    Field(
        "no_way_back",
        "No way back",
        TECHNICAL,
        frozenset(),
        "Say whether it cannot be undone, or undoing cannot be tested.",
        "A46",
    ),
    Field(
        "no_way_back_reason", "Why there is no way back", TECHNICAL, frozenset(), "Say why.", "A46"
    ),
    Field(
        "rollback_minutes",
        "Rollback time",
        TECHNICAL,
        STANDARD,
        "Give the minutes that going back takes.",
        "A25",
    ),
    Field(
        "testing_plan", "Testing plan", TECHNICAL, PLANNED, "Say how it will be validated.", "R24"
    ),
    Field(
        "dependencies",
        "Dependencies",
        TECHNICAL,
        PLANNED,
        "Name changes or systems it needs, or write “none”.",
        "R25",
    ),
    Field("strategy", "Strategy", TECHNICAL, frozenset(), "Choose how it is rolled out.", "R78"),
    Field(
        "strategy_reason",
        "Why not by canary",
        TECHNICAL,
        frozenset(),
        "Say why a high risk goes another way.",
        "A18",
    ),
    Field("downtime_required", "Downtime required", IMPACT, PLANNED, "Answer yes or no.", "R26"),
    Field(
        "downtime_minutes", "Downtime", IMPACT, frozenset(), "Give the minutes of downtime.", "R26"
    ),
    Field(
        "users_affected",
        "Will users notice?",
        IMPACT,
        frozenset({"P3"}),
        "Answer yes or no.",
        "A22",
    ),
    Field(
        "user_impact",
        "User impact",
        IMPACT,
        STANDARD,
        "Say what users will see, or that they see nothing.",
        "R27",
    ),
    Field(
        "performance_impact",
        "Performance impact",
        IMPACT,
        STANDARD,
        "Say what it does to performance, or “none”.",
        "R28",
    ),
    Field(
        "security_impact",
        "Security impact",
        IMPACT,
        STANDARD,
        "Say what it means for security, or “none”.",
        "R29",
    ),
    Field(
        "affects_authentication", "Affects authentication", IMPACT, ALL, "Answer yes or no.", "R44"
    ),
    Field(
        "affects_authorization", "Affects authorization", IMPACT, ALL, "Answer yes or no.", "R44"
    ),
    Field("affects_data_access", "Affects data access", IMPACT, ALL, "Answer yes or no.", "R44"),
    Field(
        "affects_network", "Affects network configuration", IMPACT, ALL, "Answer yes or no.", "R44"
    ),
    Field("requested_date", "Requested date", TIMELINE, PLANNED, "Give the earliest date.", "R30"),
    Field(
        "estimated_minutes",
        "Estimated duration",
        TIMELINE,
        PLANNED,
        "Give the minutes of work.",
        "R32",
    ),
)
BY_NAME = {field.name: field for field in FIELDS}
NAMES = tuple(BY_NAME)
#: Which fields approvers judge, by the number of the scheme. A round keeps its number (A35), so
#: that a field which joins the content later voids nothing that stands; the newest counts for new
#: rounds.
_SINCE = {
    2: ("risk_answers", "strategy_reason", "actual_start", "actual_end"),
    3: ("no_way_back", "no_way_back_reason"),
}
SCHEMES = {
    scheme: tuple(
        name
        for name in NAMES
        if not any(name in names for since, names in _SINCE.items() if since > scheme)
    )
    for scheme in (1, *_SINCE)
}
SCHEME = max(SCHEMES)
SECURITY_QUESTIONS = (
    "affects_authentication",
    "affects_authorization",
    "affects_data_access",
    "affects_network",
)
#: Owed by a P0 within 24 hours of its end (A22): every template field that was not asked before the
#: authorisation.
DOCUMENTATION = tuple(
    field.name for field in FIELDS if not field.needed_by & EMERGENCY and field.needed_by & STANDARD
)


def is_missing(value: Any) -> bool:
    """Whether a field stands unanswered; an empty list of dependencies, False and 0 are answers."""
    return value is None or (isinstance(value, str) and not value.strip())


def has_evidence(tested: Any) -> bool:
    """Whether the rollback's evidence says what was tried, where and when, or names the change that
    showed it (A19, A34).
    """
    if not isinstance(tested, Mapping):
        return False
    return bool(tested.get("change")) or not any(
        is_missing(tested.get(part)) for part in ("what", "where", "when")
    )


def missing_fields(content: Mapping[str, Any]) -> dict[str, str]:
    """Field → what to do, for every field that the content's own priority needs and does not have
    (A22), and for what its answers ask for besides.
    """
    priority = content.get("priority") or ""
    needs = priority or "Every change"
    missing = {
        field.name: f"{field.label}: {field.missing} {needs} needs it."
        for field in FIELDS
        if _is_needed(field, priority) and _is_empty(field, content)
    }
    return missing | _missing_by_answers(content, priority)


def _is_needed(field: Field, priority: str) -> bool:
    by_all = not priority and field.needed_by == ALL
    return priority in field.needed_by or field.name == "priority" or by_all


def _is_empty(field: Field, content: Mapping[str, Any]) -> bool:
    value = content.get(field.name)
    if field.name == "rollback_tested":
        if content.get("no_way_back"):
            return False  # what cannot be tried has no evidence; why, it says itself (A46)
        return not has_evidence(value) if value else is_missing(value)
    return is_missing(value) or (field.name == "components" and not value)


NOT_BY_CANARY = "say why a high risk goes another way, or choose canary."
NO_WAY_BACK = "say why it cannot be undone, or why undoing it cannot be tested."
DOWNTIME = "Give the minutes of downtime, or answer “no downtime”."
USER_IMPACT = "Say what users will see; you answered that they notice."


def _missing_by_answers(content: Mapping[str, Any], priority: str) -> dict[str, str]:
    """What follows from risk (A18), way back (A46), downtime and users' notice (A22)."""
    missing = {}
    is_high, is_planned = content.get("risk") == "high", priority in PLANNED
    is_explained = not is_missing(content.get("strategy_reason"))
    if is_high and is_planned and content.get("strategy") != "canary" and not is_explained:
        missing["strategy_reason"] = f"Why not by canary: {NOT_BY_CANARY}"
    if content.get("no_way_back"):
        if is_missing(content.get("no_way_back_reason")):
            missing["no_way_back_reason"] = f"Why there is no way back: {NO_WAY_BACK}"
        if not is_high:
            missing["risk"] = "Risk: a change without a way back is high."
    if is_planned and content.get("downtime_required") and not content.get("downtime_minutes"):
        missing["downtime_minutes"] = f"Downtime: {DOWNTIME}"
    is_noticed = priority == "P3" and content.get("users_affected")
    if is_noticed and is_missing(content.get("user_impact")):
        missing["user_impact"] = f"User impact: {USER_IMPACT}"
    return missing


def _plain(value: Any) -> Any:
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    return value


def as_data(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content as JSON can say it."""
    return {name: _plain(value) for name, value in content.items()}


def fingerprint(content: Mapping[str, Any], scheme: int = SCHEME) -> str:
    """SHA-256 over the fields of a scheme in one canonical form. Every decision stores the hash of
    what its maker saw.
    """
    canonical = {name: _plain(content.get(name)) for name in SCHEMES[scheme]}
    canonical["components"] = sorted(canonical["components"] or [])
    return hashlib.sha256(
        json.dumps(canonical, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    ).hexdigest()


def as_text(value: Any) -> str:
    """A field's value as a line of a diff."""
    match value:
        case None:
            return ""
        case bool():
            return "Yes" if value else "No"
        case list():
            return "\n".join(str(item) for item in value)
        case dict() if all(isinstance(item, bool) for item in value.values()):
            return ", ".join(f"{key}: {as_text(item).lower()}" for key, item in value.items())
        case dict():
            return ", ".join(f"{key}: {item}" for key, item in value.items() if item)
        case _:
            return str(_plain(value))
