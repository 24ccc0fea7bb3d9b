"""The web form: what it posts, as the values that the domain checks; and a change's values, as the
form shows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import QueryDict

from requests import content, risk
from requests.models import ChangeRequest

YES_NO = ("downtime_required", "users_affected", *content.SECURITY_QUESTIONS)
EVIDENCE = ("what", "where", "when", "link")
PLAIN = (
    "priority",
    "emergency_kind",
    "emergency_reference",
    "actual_start",
    "actual_end",
    "summary",
    "reason",
    "risk",
    "implementation_steps",
    "rollback_plan",
    "rollback_minutes",
    "testing_plan",
    "strategy",
    "downtime_minutes",
    "user_impact",
    "performance_impact",
    "security_impact",
    "requested_date",
    "estimated_minutes",
)
SECURITY_WORDS = {
    "affects_authentication": "Does it affect how people sign in (authentication)?",
    "affects_authorization": "Does it affect who may do what (authorization)?",
    "affects_data_access": "Does it affect how data is read or stored (data access)?",
    "affects_network": "Does it affect the network configuration?",
}


def values_from(query: QueryDict) -> dict[str, Any]:
    """Posted fields as `requests.cleaning` takes them; only what the form had."""
    post: dict[str, str] = {name: str(query[name]) for name in query}
    values: dict[str, Any] = {name: post[name] for name in PLAIN if name in post}
    for name in YES_NO:
        if post.get(name) in {"yes", "no"}:
            values[name] = post[name] == "yes"
    if "components" in post:
        values["components"] = [
            slug.strip() for slug in post["components"].split(",") if slug.strip()
        ]
    if "dependencies" in post:
        text = post["dependencies"].strip()
        values["dependencies"] = text or None
    if "rollback_tested_what" in post:
        values["rollback_tested"] = {
            part: post.get(f"rollback_tested_{part}", "") for part in EVIDENCE
        }
    if "requested_window" in post:
        reason = post.get("requested_window_reason", "")
        values["requested_window"] = {
            "start": post["requested_window"],
            "short_notice_reason": reason,
        }
    if "external_refs" in post:
        values["external_refs"] = [
            _reference(line) for line in post["external_refs"].splitlines() if line.strip()
        ]
    said = {question.key: post.get(f"risk_{question.key}") for question in risk.QUESTIONS}
    answers = {key: answer == "yes" for key, answer in said.items() if answer in ("yes", "no")}
    if answers or "form" in post:
        values["risk_answers"] = answers
    for name in ("strategy_reason", "no_way_back", "no_way_back_reason"):
        if name in post:
            values[name] = post[name]
    if "form" in post:  # unticked boxes are not posted
        values["confidential"], values["major"] = "confidential" in post, "major" in post
    return values


def _reference(line: str) -> dict[str, str]:
    """“SHOP-8841 https://…”: a key, and perhaps its address."""
    key, _, url = line.strip().partition(" ")
    system = (
        "Jira"
        if "-" in key and key.split("-")[0].isupper()
        else "ServiceNow"
        if key.upper().startswith("CHG")
        else "Link"
    )
    return {"system": system, "key": key, "url": url.strip()}


def shown(change: ChangeRequest) -> dict[str, Any]:
    """A change as the form shows it: text for text fields, yes or no for questions."""
    values: dict[str, Any] = {name: getattr(change, name) for name in PLAIN}
    values = {name: "" if value is None else value for name, value in values.items()}
    values["requested_date"] = change.requested_date.isoformat() if change.requested_date else ""
    for name in ("actual_start", "actual_end"):
        at = getattr(change, name)
        values[name] = f"{at:%Y-%m-%dT%H:%M}Z" if at else ""
    for name in YES_NO:
        answer = getattr(change, name)
        values[name] = "" if answer is None else "yes" if answer else "no"
    values["components"] = ", ".join(
        sorted(component.slug for component in change.components.all())
    )
    values["dependencies"] = (
        "" if change.dependencies is None else ", ".join(change.dependencies) or "none"
    )
    for part in EVIDENCE:
        values[f"rollback_tested_{part}"] = (change.rollback_tested or {}).get(part, "")
    start = change.requested_window_start
    values["requested_window"] = f"{start:%Y-%m-%dT%H:%M}Z" if start else ""
    values["requested_window_reason"] = change.requested_window_reason
    values["external_refs"] = "\n".join(
        f"{ref['key']} {ref['url']}".strip() for ref in change.external_refs
    )
    values |= {
        f"risk_{key}": "yes" if answer else "no" for key, answer in change.risk_answers.items()
    }
    for name in ("strategy_reason", "no_way_back", "no_way_back_reason"):
        values[name] = getattr(change, name)
    return values | {"confidential": change.confidential, "major": change.major}


def typed(post: QueryDict) -> dict[str, Any]:
    """What somebody typed, to show it again: nothing is ever lost."""
    values: dict[str, Any] = {name: post.get(name, "") for name in post}
    return values | {"confidential": "confidential" in post, "major": "major" in post}


def section_progress(content_values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Per section of the template: how many of the fields that this priority needs are there."""
    priority = content_values.get("priority") or "P2"
    missing = content.missing_fields({**content_values, "priority": priority})
    progress = []
    for section in content.SECTIONS:
        needed = [
            field.name
            for field in content.FIELDS
            if field.section == section and priority in field.needed_by
        ]
        done = [name for name in needed if name not in missing]
        if needed:
            progress.append(
                {
                    "section": section,
                    "done": len(done),
                    "of": len(needed),
                    "ready": len(done) == len(needed),
                }
            )
    return progress
