"""An emergency authorised by telephone: recorded by the on-call engineer, confirmed or denied by
the person named (A4).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts.models import User
from approvals.models import Decision
from audit.models import Event
from notifications.models import Message
from requests.models import ChangeRequest
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]


@pytest.fixture
def emergency(desk: Sit, at: Any) -> str:
    """A P0 of an engineer, waiting for its authorisation at night."""
    at("2026-10-01T02:00Z")
    return str(desk("engineer").submit("P0")["id"])


def record(
    desk: Sit, number: str, name: str = "cto", who: str = "oncall", expect: int = 200, **more: Any
) -> Any:
    return desk(who).decide(number, "emergency", expect=expect, on_behalf_of=name, **more)


def confirm(desk: Sit, number: str, answer: str, who: str = "cto", expect: int = 200) -> Any:
    step = next(s for s in desk(who).steps(number) if s["kind"] == "emergency" and s["decisions"])
    return desk(who).post(
        f"/changes/{number}/steps/{step['id']}/confirmation", {"answer": answer}, expect=expect
    )


def told(username: str, kind: str) -> int:
    return Message.objects.filter(kind=kind, recipient__username=username).count()


def test_it_counts_at_once_and_the_person_named_is_told_at_once(desk: Sit, emergency: str) -> None:
    """R3, R4, A4."""
    step = record(desk, emergency, comment="Called at 01:55")
    assert step["state"] == "approved"
    assert [(d["by"], d["for"], d["role"]) for d in step["decisions"]] == [("oncall", "cto", "cto")]
    assert desk("engineer").get(f"/changes/{emergency}")["state"] == "approved"
    assert told("cto", "phone_approval") == 1
    assert desk("oncall").post(f"/changes/{emergency}/start")["state"] == "implementing"


def test_a_confirmed_approval_stands(desk: Sit, emergency: str) -> None:
    """A4."""
    record(desk, emergency)
    assert confirm(desk, emergency, "approved")["state"] == "approved"
    assert confirm(desk, emergency, "not_approved", expect=409)["code"] == "settled"
    assert desk("engineer").get(f"/changes/{emergency}")["state"] == "approved"


def test_a_denied_one_stops_a_start_that_was_not_made(desk: Sit, emergency: str) -> None:
    """A4, promise 1: it must be authorised again, and CTO and change manager are alerted."""
    record(desk, emergency, name="emergency-contact")
    confirm(desk, emergency, "not_approved", who="emergency-contact")
    assert desk("engineer").get(f"/changes/{emergency}")["state"] == "in_review"
    assert desk("oncall").post(f"/changes/{emergency}/start", expect=409)
    assert [s["state"] for s in desk("cto").steps(emergency)] == ["open", "stale"]
    assert told("cto", "phone_denied") == told("change-manager", "phone_denied") == 1
    desk("cto").decide(emergency, "emergency")
    assert desk("oncall").post(f"/changes/{emergency}/start")["state"] == "implementing"


def test_denied_after_the_start_it_goes_on_and_is_reported(
    desk: Sit, emergency: str, at: Any
) -> None:
    """A4, A30: nobody's run is cut off; the report names it."""
    record(desk, emergency)
    desk("oncall").post(f"/changes/{emergency}/start")
    confirm(desk, emergency, "not_approved")
    assert desk("oncall").get(f"/changes/{emergency}")["state"] == "implementing"
    desk("oncall").post(f"/changes/{emergency}/fail", {"reason": "Not authorised"})
    at("2026-11-01T00:00Z")
    report = desk("manager").get("/reports/monthly/2026-10.json")
    assert report["exceptions"]["phone_approvals_unconfirmed"] == 1


def test_a_denied_one_that_never_ran_is_reported_in_the_month_of_the_denial(
    desk: Sit, emergency: str, at: Any
) -> None:
    """A4."""
    record(desk, emergency)
    confirm(desk, emergency, "not_approved")
    desk("engineer").post(f"/changes/{emergency}/cancel", {"reason": "The revert was enough"})
    at("2026-11-01T00:00Z")
    report = desk("manager").get("/reports/monthly/2026-10.json")
    assert (report["total"], report["exceptions"]["phone_approvals_unconfirmed"]) == (0, 1)


def test_no_answer_is_escalated_once(desk: Sit, emergency: str) -> None:
    """A4: after 24 hours, however often the clock looks; a late answer is still taken."""
    record(desk, emergency)
    call_command("tick", "--at", "2026-10-02T01:59:00Z")
    assert told("change-manager", "phone_unanswered") == 0
    for instant in ("2026-10-02T02:00:30Z", "2026-10-05T02:00:00Z"):
        call_command("tick", "--at", instant)
    assert told("change-manager", "phone_unanswered") == told("cto", "phone_unanswered") == 1
    assert Event.objects.filter(action="approval.confirmation_overdue").count() == 1
    confirm(desk, emergency, "approved")


@pytest.mark.parametrize("name", ["engineer", "tech-lead", "nobody-here", "oncall"])
def test_only_somebody_who_could_have_approved_is_named(
    desk: Sit, emergency: str, name: str
) -> None:
    """A4, F37: neither the requester, nor somebody without the role, nor oneself."""
    problem = record(desk, emergency, name=name, expect=422)
    assert problem["errors"][0]["field"] == "on_behalf_of"
    assert not Decision.objects.filter(change__number=emergency).exists()


def test_only_the_on_call_engineer_records_it_and_only_an_approval_of_an_emergency(
    desk: Sit, emergency: str
) -> None:
    """A4."""
    record(desk, emergency, who="devops", expect=403)
    record(desk, emergency, who="auditor", expect=403)
    record(desk, emergency, verdict="reject", comment="No", expect=422)
    planned = desk("engineer").submit("P3")["id"]
    problem = desk("oncall").decide(planned, "technical", expect=409, on_behalf_of="tech-lead")
    assert problem["code"] == "not_by_phone"


def test_whoever_requested_or_edited_it_records_nothing(desk: Sit, at: Any) -> None:
    """A4, promise 1: not as the requester, and not after raising it to P0."""
    at("2026-10-01T02:00Z")
    own = desk("oncall").submit("P0")["id"]
    record(desk, own, expect=403)
    raised = desk("engineer").submit("P2")["id"]
    body = {"reason": "It is down", "emergency_kind": "outage", "emergency_reference": "INC-1"}
    desk("oncall").post(f"/changes/{raised}/escalate", body)
    record(desk, raised, expect=403)


def test_a_stale_page_and_a_second_approval_are_refused(desk: Sit, emergency: str) -> None:
    """Promise 3, F21."""
    record(desk, emergency, version=99, expect=412)
    desk("cto").decide(emergency, "emergency")
    assert record(desk, emergency, name="emergency-contact", expect=409)["code"] == "settled"


def test_only_the_person_named_answers_and_a_token_never(desk: Sit, emergency: str) -> None:
    """F37, F58."""
    step = record(desk, emergency)
    confirm(desk, emergency, "approved", who="oncall", expect=403)
    confirm(desk, emergency, "ratified", expect=422)
    secret = desk("cto").user.api_tokens.model.make(user=desk("cto").user, name="x", scope="write")[
        1
    ]
    path = f"/changes/{emergency}/steps/{step['id']}/confirmation"
    desk("cto").call(
        "POST", path, {"answer": "approved"}, expect=403, authorization=f"Bearer {secret}"
    )


def test_the_database_refuses_a_requester_as_recorder_or_as_person_named(
    desk: Sit, emergency: str
) -> None:
    """F35: raw SQL too."""
    change = ChangeRequest.objects.get(number=emergency)
    step = change.steps.get(kind="emergency")
    people = {name: User.objects.get(username=name).pk for name in ("engineer", "oncall", "cto")}
    sql = (
        "INSERT INTO approvals_decision (step_id, change_id, round, stage, deferred, actor_id,"
        " on_behalf_of_id, role, roles_held, verdict, comment, checklist, content_hash, at) VALUES"
        " (%s, %s, 1, 1, false, %s, %s, 'cto', '{cto}', 'approve', '', '{}', '', %s)"
    )
    for recorder, named in (("engineer", "cto"), ("oncall", "engineer"), ("oncall", "oncall")):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                sql, [step.pk, change.pk, people[recorder], people[named], timezone.now()]
            )


def test_by_click(desk: Sit, emergency: str) -> None:
    """A4 on the page: the on-call engineer picks the person, who is asked on home, queue and the
    change's page.
    """
    oncall, cto = desk("oncall").client, desk("cto").client
    oncall.force_login(desk("oncall").user)
    cto.force_login(desk("cto").user)
    page = f"/changes/{emergency}/"
    html = oncall.get(page).content.decode()
    assert "Record the approval" in html
    assert "tel:" in html
    step = ChangeRequest.objects.get(number=emergency).steps.get(kind="emergency")
    form = {
        "verdict": "approve",
        "version": "1",
        "on_behalf_of": "tech-lead",
        "comment": "Called at 01:55",
    }
    refused = oncall.post(f"{page}decide/{step.pk}", form)
    assert refused.status_code == 422
    assert "Called at 01:55" in refused.content.decode()
    version = ChangeRequest.objects.get(number=emergency).version
    assert (
        oncall.post(
            f"{page}decide/{step.pk}", {**form, "version": str(version), "on_behalf_of": "cto"}
        ).status_code
        == 302
    )
    for place in ("/", "/approvals/", page):
        assert "by telephone?" in cto.get(place).content.decode(), place
    assert (
        cto.post(
            f"{page}act/confirm-phone", {"step": str(step.pk), "answer": "approved"}
        ).status_code
        == 302
    )
    assert "confirmed the approval by telephone" in cto.get(page).content.decode()
