"""What stands against submitting a change, for form, page, API and service alike (R14, A18,
A22).
"""

from __future__ import annotations

from django.utils import timezone

from approvals.people import vacancies
from requests import evidence, risk
from requests.components import record_of, retired_problem
from requests.models import ChangeRequest, Component
from requests.risk import Record
from requests.states import State


def said(change: ChangeRequest) -> str:
    """What a submission has brought about: who was told, and who could not be (X8)."""
    if change.state != State.IN_REVIEW:
        return (
            f"{change.number} is recorded: {State(change.state).label.lower()}. Whoever could have"
            " authorised it has been asked."
        )
    return f"{change.number} is submitted. {vacancies.told(change)}".strip()


def submit_problems(change: ChangeRequest, record: Record | None = None) -> dict[str, str]:
    """Field → what to do, for everything that keeps a change from its reviewers. `record`: the
    components', where it is known already.
    """
    found = content_problems(change, record)
    today = timezone.now().date()
    if change.requested_date and change.requested_date < today and not change.is_emergency:
        found["requested_date"] = (
            f"Requested date: {change.requested_date} has passed; give today, {today}, or later."
        )
    return found


def _was_there(change: ChangeRequest, component: Component) -> bool:
    """What was submitted before a component retired goes its way: its own decommissioning, too."""
    return bool(
        change.submitted_at and component.retired_at and change.submitted_at < component.retired_at
    )


def content_problems(change: ChangeRequest, record: Record | None = None) -> dict[str, str]:
    """The same of the content alone, also of one that is edited under review."""
    found = change.missing_fields()
    if (change.rollback_tested or {}).get("change") and (problem := evidence.of(change).problem):
        found["rollback_tested"] = f"Rollback evidence: {problem}."
    retired = (
        []
        if change.is_emergency
        else [c.slug for c in change.components.all() if c.retired_at and not _was_there(change, c)]
    )
    if retired:
        found["components"] = retired_problem(retired)
    if not change.risk_answers:
        return found
    suggested = risk.suggest(change.risk_answers, record or record_of(change.components.all()))
    if suggested and risk.is_below(change.risk, suggested.level):
        found["risk"] = (
            f"Risk: the answers suggest {suggested.level}; choose that, and let a reviewer lower it"
            " with a reason."
        )
    return found
