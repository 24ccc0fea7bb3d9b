"""Runs over the API: actions, gate, start to close, evidence."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from ninja import Field, Router
from pydantic import StrictBool, StrictInt

from approvals.deciding import recording
from implementation.evidence import evidence
from implementation.models import ChecklistItem, Issue, Review
from implementation.review import reviews
from implementation.run import actions, afterwards, guards, verbs
from implementation.run.case import Case
from language import reading
from language.refusal import Invalid
from requests import access
from requests.shapes import change_out
from requests.states import State
from web.doors import PERSON, Body, ReasonIn, answer, body_values
from web.http import Request

router = Router(tags=["Implementation"])


@router.get("/changes/{number}/actions", operation_id="list_actions")
def list_actions(request: Request, number: str) -> Any:
    """Every transition for the caller: allowed, or why not."""
    change = access.change_for(request.user, number)
    items = [
        {
            "name": a.name,
            "label": a.label,
            "allowed": a.allowed,
            "reasons": [r.as_dict() for r in a.reasons],
        }
        for a in actions.actions_for(Case(change, request.user))
    ]
    return {"items": items}


@router.get("/gate/{number}", operation_id="ask_gate", tags=["Gate"])
def gate(request: Request, number: str, at: str = "") -> Any:
    """May it be deployed at that instant (default: now)? Exactly what `start` would answer, the
    caller's role apart.
    """
    change = access.change_for(request.user, number)
    try:
        when = reading.instant(at) if at else timezone.now()
    except reading.Wrong as problem:
        raise Invalid(fields={"at": f"at: {problem}"}) from None
    allow, reasons, upcoming, until = guards.gate(Case(change, request.user, when))
    back = {"purpose": "rollback"} if change.state == State.ROLLING_BACK else {}  # A30
    return {
        "allow": allow,
        "reasons": [r.as_dict() for r in reasons],
        "next_allowed_at": upcoming,
        "until": until,
        **back,
    }


@router.post("/changes/{number}/start", operation_id="start_change")
def start(request: Request, number: str, body: ReasonIn | None = None) -> Any:
    """`reason`: whom the on-call engineer called and when, for an emergency that nobody has
    authorised yet (A33).
    """
    return change_out(
        verbs.start(actor=request.user, number=number, reason=body.reason if body else "")
    )


@router.post("/changes/{number}/late-record/accept", operation_id="accept_late_record", auth=PERSON)
def accept_late_record(request: Request, number: str, body: ReasonIn) -> Any:
    """A change manager lets an emergency be recorded more than 72 hours after it began (A33)."""
    return change_out(recording.accept_late(actor=request.user, number=number, reason=body.reason))


@router.post("/changes/{number}/finish", operation_id="finish_change")
def finish(request: Request, number: str, body: ReasonIn | None = None) -> Any:
    return change_out(verbs.finish(actor=request.user, number=number))


@router.post("/changes/{number}/complete", operation_id="complete_change")
def complete(request: Request, number: str, body: ReasonIn | None = None) -> Any:
    """`reason` shortens the monitoring period; it is reported."""
    return change_out(
        verbs.complete(actor=request.user, number=number, reason=body.reason if body else "")
    )


@router.post("/changes/{number}/roll-back", operation_id="roll_back_change")
def roll_back(request: Request, number: str, body: ReasonIn | None = None) -> Any:
    body = body or ReasonIn()
    return change_out(
        verbs.roll_back(actor=request.user, number=number, reason=body.reason, trigger=body.trigger)
    )


@router.post("/changes/{number}/finish-rollback", operation_id="finish_rollback")
def finish_rollback(request: Request, number: str, body: ReasonIn | None = None) -> Any:
    return change_out(
        verbs.finish_rollback(actor=request.user, number=number, reason=body.reason if body else "")
    )


@router.post("/changes/{number}/fail", operation_id="fail_change")
def fail(request: Request, number: str, body: ReasonIn | None = None) -> Any:
    body = body or ReasonIn()
    return change_out(verbs.fail(actor=request.user, number=number, reason=body.reason))


@router.post("/changes/{number}/close", operation_id="close_change")
def close(request: Request, number: str, body: ReasonIn | None = None) -> Any:
    return change_out(reviews.close(actor=request.user, number=number))


@router.post("/changes/{number}/take-over", operation_id="take_over_change")
def take_over(request: Request, number: str, body: ReasonIn | None = None) -> Any:
    """`reason` is needed of whoever judged the change, and only for a run that its implementer has
    left (A37).
    """
    return change_out(
        verbs.take_over(actor=request.user, number=number, reason=body.reason if body else "")
    )


@router.post("/changes/{number}/take-over/accept", operation_id="accept_take_over", auth=PERSON)
def accept_take_over(request: Request, number: str, body: ReasonIn) -> Any:
    """A second person lets such a run go forward (A37)."""
    return change_out(verbs.accept_take_over(actor=request.user, number=number, reason=body.reason))


class ExtendIn(Body):
    minutes: StrictInt
    reason: str = ""


@router.post("/changes/{number}/extend", operation_id="extend_slot")
def extend(request: Request, number: str, body: ExtendIn) -> Any:
    return change_out(
        verbs.extend(actor=request.user, number=number, minutes=body.minutes, reason=body.reason)
    )


# --- evidence -------------------------------------------------------------------------------------


def item_out(item: ChecklistItem) -> dict[str, Any]:
    return {
        "id": item.pk,
        "phase": item.phase,
        "text": item.text,
        "command": item.command,
        "level": item.level,
        "state": item.state,
        "note": item.note,
        "output": item.output,
    }


@router.get("/changes/{number}/checklist", operation_id="list_checklist")
def checklist(request: Request, number: str) -> Any:
    """R54: of that change, and of its implementation date."""
    change = access.change_for(request.user, number)
    day = change.implementation_date
    items = [item_out(item) for item in change.checklist.all()]
    return {
        "items": items,
        "change": change.number,
        "implementation_date": day.isoformat() if day else None,
    }


class ItemIn(Body):
    phase: str
    text: str
    command: str = ""


@router.post("/changes/{number}/checklist", operation_id="add_checklist_item")
def add_item(request: Request, number: str, body: ItemIn) -> Any:
    return answer(
        201, item_out(evidence.add_item(actor=request.user, number=number, **body.dict()))
    )


class ItemStateIn(Body):
    state: str
    note: str | None = None
    output: str | None = None


@router.patch("/changes/{number}/checklist/{item_id}", operation_id="settle_checklist_item")
def settle_item(request: Request, number: str, item_id: int, body: ItemStateIn) -> Any:
    return item_out(
        evidence.settle_item(actor=request.user, number=number, item_id=item_id, **body.dict())
    )


class LogIn(Body):
    kind: str = "note"
    message: str


@router.post("/changes/{number}/log", operation_id="log")
def log(request: Request, number: str, body: LogIn) -> Any:
    entry = evidence.log(actor=request.user, number=number, kind=body.kind, message=body.message)
    return answer(
        201, {"id": entry.pk, "kind": entry.kind, "message": entry.message, "at": entry.at}
    )


class CheckIn(Body):
    name: str
    kind: str
    passed: StrictBool
    value: float | None = Field(default=None, allow_inf_nan=False)
    unit: str = ""
    observed_at: str | None = None
    output: str = ""


def check_out(check: Any) -> dict[str, Any]:
    return {
        "id": check.pk,
        "name": check.name,
        "kind": check.kind,
        "passed": check.passed,
        "value": check.value,
        "unit": check.unit,
        "observed_at": check.observed_at,
        "output": check.output,
        "accepted": check.accepted_by_id is not None,
    }


@router.post("/changes/{number}/checks", operation_id="record_check")
def record_check(request: Request, number: str, body: CheckIn) -> Any:
    return answer(
        201, check_out(evidence.record_check(actor=request.user, number=number, **body.dict()))
    )


@router.post(
    "/changes/{number}/checks/{check_id}/acceptance", operation_id="accept_check", auth=PERSON
)
def accept_check(request: Request, number: str, check_id: int, body: ReasonIn) -> Any:
    """A second person accepts a failed check."""
    return check_out(
        evidence.accept_check(
            actor=request.user, number=number, check_id=check_id, reason=body.reason
        )
    )


def issue_out(issue: Issue) -> dict[str, Any]:
    return {
        "n": issue.n,
        "severity": issue.severity,
        "summary": issue.summary,
        "link": issue.link,
        "detected_at": issue.detected_at,
        "resolved_at": issue.resolved_at,
        "prescribed_action": issue.row.action,
        "band_ends_at": issue.row.band_ends_at(issue.detected_at),
    }


@router.get("/changes/{number}/issues", operation_id="list_issues")
def issues(request: Request, number: str) -> Any:
    return {
        "items": [
            issue_out(issue) for issue in access.change_for(request.user, number).issues.all()
        ]
    }


class IssueIn(Body):
    severity: str
    summary: str
    detected_at: str | None = None
    resolved_at: str | None = None
    link: str = "caused_by"


@router.post("/changes/{number}/issues", operation_id="open_issue")
def open_issue(request: Request, number: str, body: IssueIn) -> Any:
    return answer(
        201, issue_out(evidence.open_issue(actor=request.user, number=number, **body.dict()))
    )


class IssueEdit(Body):
    severity: str | None = None
    summary: str | None = None
    detected_at: str | None = None
    resolved_at: str | None = None
    link: str | None = None


@router.patch("/changes/{number}/issues/{n}", operation_id="edit_issue")
def edit_issue(request: Request, number: str, n: int, body: IssueEdit) -> Any:
    return issue_out(
        evidence.edit_issue(
            actor=request.user, number=number, n=n, values=body.dict(exclude_unset=True)
        )
    )


# --- review ---------------------------------------------------------------------------------------


def review_out(review: Review) -> dict[str, Any]:
    return {
        "summary": review.summary,
        "deviations": review.deviations,
        "lessons": review.lessons,
        "improvements": review.improvements,
        "runbook_updated": review.runbook_updated,
        "due_at": review.due_at,
        "written_at": review.written_at,
        "written_by": review.written_by.username if review.written_by else None,
        "version": review.version,
        "revised_at": review.revised_at,
        "revised_by": review.revised_by.username if review.revised_by else None,
        "confirmed_at": review.confirmed_at,
        "confirmed_by": review.confirmed_by.username if review.confirmed_by else None,
        "p0_justified": review.p0_justified,
    }


class ReviewIn(Body):
    summary: str
    deviations: str = ""
    lessons: str = ""
    improvements: str = ""
    runbook_updated: StrictBool | None = None


@router.put("/changes/{number}/review", operation_id="write_review")
def write_review(request: Request, number: str, body: ReviewIn) -> Any:
    return review_out(reviews.write_review(actor=request.user, number=number, **body.dict()))


class ConfirmIn(Body):
    p0_justified: StrictBool | None = None


@router.post("/changes/{number}/review/confirmation", operation_id="confirm_review", auth=PERSON)
def confirm_review(request: Request, number: str, body: ConfirmIn | None = None) -> Any:
    return review_out(
        reviews.confirm_review(
            actor=request.user, number=number, p0_justified=body.p0_justified if body else None
        )
    )


@router.put("/changes/{number}/documentation", operation_id="document_emergency")
def document(request: Request, number: str) -> Any:
    """The fields that a P0 still owes."""
    reviews.document(actor=request.user, number=number, values=body_values(request))
    return documentation_out(Case(access.change_for(request.user, number), request.user))


@router.get("/changes/{number}/documentation", operation_id="get_documentation")
def documentation(request: Request, number: str) -> Any:
    """What a P0 supplied after its authorisation, newest version, and what it still owes."""
    return documentation_out(Case(access.change_for(request.user, number), request.user))


def documentation_out(case: Case) -> dict[str, Any]:
    kept = case.documentation
    return {
        "version": kept.version if kept else 0,
        "values": kept.values if kept else {},
        "owed": afterwards.documentation_owed(case),
    }
