"""What an ended change shows: how it ended, its review and what was supplied afterwards."""

from __future__ import annotations

from typing import Any

from implementation.models import ChecklistItem, Review
from implementation.review import reviews
from implementation.run import afterwards
from implementation.run.case import Case
from requests import content
from requests.states import ENDED, State


def ended(case: Case) -> dict[str, Any]:
    """What an ended change shows of its review, and of what it still owes."""
    if case.change.state not in ENDED:
        return {"review": None, "owed": [], "supplied": []}
    return {
        "review": case.review,
        "owed": afterwards.owed(case) if case.change.state != State.CLOSED else [],
        "owed_fields": [content.BY_NAME[name] for name in afterwards.documentation_owed(case)],
        "may_review": not afterwards.review_refusal(case),
        "may_confirm": not afterwards.confirmation_refusal(case),
        "may_document": not afterwards.documentation_refusal(case),
        "supplied": _supplied(case),
        "review_parts": _review_parts(case),
        "review_said": _review_said(case.review),
        "left_out": (
            case.unsettled(ChecklistItem.Phase.PRE)
            if case.change.is_emergency and case.change.state != State.CLOSED
            else []
        ),
    }


def _supplied(case: Case) -> list[tuple[str, str]]:
    """What a P0 supplied after its authorisation, labelled, in the template's order (A22)."""
    values = case.documentation.values if case.documentation else {}

    def said(name: str) -> str:
        value = values[name]
        if name == "rollback_tested":
            return ", ".join(
                str(value[part]) for part in ("what", "where", "when", "link") if value.get(part)
            )
        if name == "dependencies" and not value:
            return "None"
        return f"{value} min" if name.endswith("_minutes") else content.as_text(value)

    return [
        (field.label, said(field.name))
        for field in content.FIELDS
        if values.get(field.name) is not None
    ]


def _review_said(review: Review | None) -> dict[str, str]:
    """What the review's form begins with: the version before."""
    if review is None:
        return {}
    answer = {True: "yes", False: "no", None: ""}[review.runbook_updated]
    return {name: getattr(review, name) for name in reviews.WRITTEN} | {"runbook_updated": answer}


def _review_parts(case: Case) -> list[tuple[str, str]]:
    review = case.review
    if review is None:
        return []
    answers = {True: "Yes", False: "No", None: ""}
    parts = [
        ("Summary", review.summary),
        ("Deviations", review.deviations),
        ("Lessons learned", review.lessons),
        ("Improvements", review.improvements),
        ("Runbook updated", answers[review.runbook_updated]),
        ("Right to make it an emergency", answers[review.p0_justified]),
    ]
    return [(label, text) for label, text in parts if text]
