"""The door is checked (F30): every address and every operation × nobody, each role, somebody
disabled × own, foreign, confidential, closed.

The table below names each address once and says who may open it; an address that is missing from it
fails the build.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.models import ApiToken, User
from approvals.models import Step
from approvals.policy_editor import drafts, publishing
from audit.models import Event
from changemgmt.api import api
from proposals.models import Proposal
from tests.machine.test_who_may import Road
from tests.world import Desk
from windows.models import MaintenanceWindow
from windows.rules import lockdown, rules

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]

#: Pages: route → who may open it. "all": also who has not signed in; "signed": whoever has;
#: "change": who may see that change; "post": no page of its own (a reader is sent on, or told so);
#: else the people who may.
PAGES: dict[str, str | set[str]] = {
    "healthz": "all", "readyz": "all", "icons.svg": "all", "": "signed", "api/v1/docs": "signed",
    "settings/": "signed", "settings/me/": "signed", "settings/duties/": "signed",
    "settings/tokens/": "signed", "settings/delegations/": "signed",
    "settings/stand-ins/": "signed", "settings/components/": "signed",
    "settings/components/new": "signed", "settings/components/<str:slug>/": "signed",
    "settings/people/": {"admin"}, "settings/people/new": {"admin"},
    "settings/people/<str:username>/": {"admin"}, "settings/people/<str:username>/invite": "post",
    "settings/staffing/": "signed", "setup/<str:token>": "never there",
    "settings/proposals/": "signed", "settings/proposals/<int:key>/answer": "redirect",
    "settings/policy/": "signed", "settings/policy/versions/<int:version>/": "signed",
    "settings/policy/simulator/": "signed",
    "settings/policy/drafts/new": "post", "settings/policy/drafts/<int:key>/": "signed",
    "settings/policy/drafts/<int:key>/trial/": "signed",
    "settings/policy/drafts/<int:key>/edit": "redirect",
    "settings/policy/drafts/<int:key>/publish": "redirect",
    "calendar/rules/": "signed", "calendar/rules/new/<slug:kind>/": "signed",
    "calendar/rules/preview/<slug:kind>/": "post",
    "calendar/rules/<slug:model>/<int:key>/": "signed",
    "calendar/proposed/<int:key>/": "signed", "calendar/lockdown/": "signed",
    "calendar/import/": {"change-manager"}, "calendar/feeds/": "signed",
    "calendar/day/<day:day>/": "signed", "calendar/open/": "signed", "calendar/find/": "signed",
    "calendar/move/": "missing", "feeds/<str:token>/changes.ics": "never there",
    "changes/": "signed", "changes/export.csv": "signed", "changes/new": "writer",
    "changes/preview": "post", "changes/<str:number>/edit": "edit",
    "changes/<str:number>/suggest/<slug:field>": "suggest", "changes/<str:number>/": "change",
    "changes/<str:number>/implementation/": "change", "changes/<str:number>/history/": "change",
    "changes/<str:number>/audit/": "change",
    "changes/<str:number>/decide/<int:step_id>": "redirect",
    "changes/<str:number>/act/<slug:verb>": "redirect",
    "approvals/<int:step_id>/": {"tech-lead", "senior-devops"},
    "approvals/mail/<str:token>/": "missing",
    "approvals/several": "post",
    "approvals/waiting/": {"change-manager", "manager", "cto", "auditor", "eng-manager"},
    "approvals/": "signed", "calendar/": "signed", "reports/": "signed",
    "reports/<str:period>/": "signed", "reports/<str:period>/<slug:name>/": "signed",
    "reports/<str:period>/issue": "post", "audit/": {"auditor", "change-manager"},
    "audit/<int:key>/redact/": {"security", "change-manager"}, "accounts/demo/": "post",
}  # fmt: skip
#: allauth's, open before and after signing in by their own rules; ours is which of them are there
#: at all.
ALLAUTH = {
    "account_login", "account_logout", "account_inactive", "account_reauthenticate",
    "account_change_password", "account_reset_password",
    "account_reset_password_from_key_done", "account_reset_password_from_key",
    "account_reset_password_done", "mfa_index", "mfa_authenticate",
    "mfa_reauthenticate", "mfa_activate_totp", "mfa_deactivate_totp", "mfa_view_recovery_codes",
    "mfa_generate_recovery_codes",
    "mfa_download_recovery_codes", "usersessions_list",
}  # fmt: skip
#: Operations of the API: operationId → "signed", "change" (read), "write" (of a change), or the
#: people who may.
OPERATIONS: dict[str, str | set[str]] = {
    **dict.fromkeys(["list_changes", "list_components", "list_approvals", "list_proposals",
        "get_calendar", "get_calendar_state", "list_calendar_rules", "list_lockdowns",
        "preview_calendar_rules", "get_monthly_report", "get_me", "event_texts"], "signed"),
    **dict.fromkeys(["get_change", "list_steps", "list_slots", "list_freeze_exceptions",
        "list_actions", "ask_gate", "list_checklist", "list_issues", "get_documentation"],
        "change"),
    **dict.fromkeys([
        "edit_change", "submit_change", "cancel_change", "clone_change", "escalate_change",
        "transfer_change", "comment_on_change", "decide_step", "confirm_step",
        "schedule_change", "unschedule_change", "grant_freeze_exception",
        "ask_for_freeze_exception", "decline_freeze_exception", "start_change", "finish_change",
        "complete_change", "roll_back_change", "finish_rollback",
        "fail_change", "close_change", "take_over_change", "extend_slot", "add_checklist_item",
        "settle_checklist_item", "log", "record_check", "accept_check", "accept_take_over",
        "accept_late_record",
        "open_issue", "edit_issue", "write_review", "confirm_review", "document_emergency"],
        "write"),
    "create_change": "writer", "create_component": {"change-manager", "admin"},
    "edit_component": {"change-manager", "admin"},
    "confirm_proposal": {"cto", "devops-lead"}, "decline_proposal": {"cto", "devops-lead"},
    "save_calendar_rules": {"change-manager"}, "lock_down": {"change-manager"},
    "lift_lockdown": {"change-manager"},
    "list_events": {"auditor", "change-manager"}, "verify_audit": {"auditor", "change-manager"},
    "propose_redaction": {"security", "change-manager"},
}  # fmt: skip
#: Operations that write → whether a token may: it never decides (contract).
BY_A_PERSON = {
    "decide_step", "confirm_step", "confirm_review", "accept_check", "accept_take_over",
    "accept_late_record", "grant_freeze_exception", "decline_freeze_exception",
    "confirm_proposal", "decline_proposal", "propose_redaction", "save_calendar_rules", "lock_down",
    "lift_lockdown",
}  # fmt: skip
BY_A_TOKEN_TOO = {
    "create_change", "edit_change", "submit_change", "cancel_change", "clone_change",
    "escalate_change", "transfer_change", "comment_on_change", "schedule_change",
    "unschedule_change", "ask_for_freeze_exception", "start_change", "finish_change",
    "complete_change", "roll_back_change", "finish_rollback", "fail_change", "close_change",
    "take_over_change", "extend_slot", "add_checklist_item", "settle_checklist_item", "log",
    "record_check", "open_issue", "edit_issue", "write_review", "document_emergency",
    "create_component", "edit_component", "preview_calendar_rules",
}  # fmt: skip
READERS = {"manager", "auditor", "admin"}  # who hold no role that requests or decides
PRIVY = {
    "security",
    "auditor",
    "change-manager",
}  # who see the confidential change: its requester, auditors, change managers; and its deciders
BODY = {
    "version": 1, "reason": "Because", "requester": "engineer2", "text": "Hello",
    "verdict": "approve", "answer": "approved", "start": "2026-10-08T02:00Z",
    "slot_start": "2026-11-17T02:00Z", "minutes": 5, "phase": "pre", "state": "done",
    "kind": "note", "message": "x", "name": "x", "passed": True, "severity": "P3",
    "summary": "x", "emergency_kind": "outage", "emergency_reference": "x", "slug": "x",
    "trigger": "manual",
}  # fmt: skip


def routes(resolver: URLResolver, before: str = "") -> Iterator[tuple[str, URLPattern]]:
    for pattern in resolver.url_patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern, route)
        else:
            yield route, pattern


@pytest.fixture
def objects(desk: Sit, at: Any) -> dict[str, str]:
    """Changes of others that stand in the data, so that no refusal is empty: own and foreign are
    the same one, seen by different people.
    """
    road = Road(desk, at)
    found = {
        "closed": road.to("closed", "P2"),
        "running": road.to("implementing", "P3"),
        "review": road.to("in_review", "P2"),
    }
    at("2026-10-01T09:00Z")
    found["secret"] = str(desk("security").submit("P2", confidential=True)["id"])
    return found


def privy(desk: Sit, number: str) -> set[str]:
    """Who may see the confidential change, counted anew: requester, auditor, change manager, and
    whoever holds a role of its steps.
    """
    roles = {role for step in desk("security").steps(number) for role in step["roles"]}
    holders = set(User.objects.filter(groups__name__in=roles).values_list("username", flat=True))
    assert "engineer" not in holders
    return PRIVY | holders


def people() -> dict[str, Client]:
    found = {"nobody": Client(), "disabled": Client()}
    gone = User.objects.create_user("gone", email="g@example.com")
    found["disabled"].force_login(gone)
    User.objects.filter(pk=gone.pk).update(is_active=False)
    for user in User.objects.filter(is_active=True):
        found[user.username] = Client()
        found[user.username].force_login(user)
    assert len(found) >= 19
    return found


def test_every_page_opens_for_exactly_who_may(
    desk: Sit, objects: dict[str, str], keys: dict[str, int]
) -> None:
    """Promise 6, F30, F31: for whoever may not see a change its pages are as absent as those of a
    number that nobody has.
    """
    everybody, seen = people(), set()
    insiders = privy(desk, objects["secret"])
    for route, pattern in routes(get_resolver()):
        if route.startswith("api/v1/") and route != "api/v1/docs":
            continue
        if pattern.name in ALLAUTH:
            seen.add(pattern.name)
            continue
        assert route in PAGES, f"{route} is missing from the table"
        seen.add(route)
        changes = objects if "<str:number>" in route else {"": ""}
        for kind, number in changes.items():
            path = "/" + _filled(route, number, keys)
            for name, client in everybody.items():
                hidden = kind == "secret" and name not in insiders
                status = client.get(path).status_code
                assert status in _wanted(PAGES[route], name, hidden), (path, kind, name, status)
    assert seen == set(PAGES) | ALLAUTH, "the table names what is not there"


@pytest.fixture
def keys(objects: dict[str, str]) -> dict[str, int]:
    """A policy in the making that waits for its second person."""
    manager = User.objects.get(username="change-manager")
    draft = drafts.start(actor=manager, title="Engineers sign off P3")
    draft = drafts.edit(
        actor=manager,
        key=draft.pk,
        revision=1,
        change=drafts.save_step(("P3", 2, 0), {"roles": ["engineer"]}),
    )
    made = publishing.publish(
        actor=manager, key=draft.pk, revision=draft.revision, reason="To see who may confirm it"
    )
    assert isinstance(made, Proposal)
    step = Step.objects.get(change__number=objects["review"], kind="technical", state="open")
    opening = rules.Edit(
        "window", None, {"name": "Opening", "rule": "", "begins": "2026-10-10T08:00", "minutes": 60}
    )
    proposed = rules.save(actor=manager, edits=[opening], reason="To see who may look at it")
    assert proposed is not None
    locked = lockdown.lock_down(actor=manager, scope=["cdn"], reason="To see who may lift it")
    window = MaintenanceWindow.objects.get(name="Primary").pk
    event = (
        Event.objects.filter(action="approval.open_round", change_id=step.change_id)
        .earliest("pk")
        .pk
    )
    known = {
        "audit": event,
        "key": draft.pk,
        "proposal_id": made.pk,
        "version": 1,
        "step_id": step.pk,
        "lockdown_id": locked.pk,
    }
    return known | {"calendar/rules": window, "calendar/proposed": proposed.pk}


def _filled(route: str, number: str, keys: dict[str, int]) -> str:
    values = {
        "number": number,
        "slug": "search" if "components" in route else "caused_issue",
        "step_id": "1",
        "token": "never-sent",
        "field": "rollback_plan",
        "verb": "submit",
        "period": "2026-09",
        "username": "engineer",
        "name": "caused_issue",
    }
    values |= {name: str(key) for name, key in keys.items()} | {
        "kind": "window",
        "model": "window",
        "day": "2026-11-24",
    }
    values["key"] = str(
        next((key for name, key in keys.items() if route.startswith(name)), keys["key"])
    )
    return re.sub(r"<\w+:(\w+)>", lambda found: values[found[1]], route)


def _wanted(who: str | set[str], name: str, hidden: bool) -> set[int]:
    if who == "all":
        return {200, 503}
    if who == "never there":
        return {404}
    if who == "post":
        return {405, 302} if name in ("nobody", "disabled") else {405}
    if name in ("nobody", "disabled"):
        return {302}
    if hidden or who == "missing":  # a link of a mail that was never sent
        return {404}
    if isinstance(who, set):
        return {200} if name in who else {403}
    if who == "writer":
        return {403} if name in READERS else {200}
    if who == "suggest":  # whoever may write, save its requester, while it is in review
        requests_one = {"engineer", "security"}
        return (
            {403, 409}
            if name in READERS
            else {200, 403, 409}
            if name in requests_one
            else {200, 409}
        )
    if who == "edit":
        return {200, 302}  # who may not edit is sent to the change's page, which says why
    return {302} if who == "redirect" else {200}


def test_every_operation_answers_exactly_who_may(
    desk: Sit, objects: dict[str, str], keys: dict[str, int]
) -> None:
    """F30: nobody and the disabled are 401, what is hidden is 404 whatever the method, readers
    change nothing, tables agree with the description.
    """
    everybody = people()
    insiders = privy(desk, objects["secret"])
    described = {
        operation["operationId"]: (method.upper(), path)
        for path, methods in api.get_openapi_schema()["paths"].items()
        for method, operation in methods.items()
    }
    assert set(described) == set(OPERATIONS)
    for operation, (method, path) in described.items():
        who = OPERATIONS[operation]
        changes = objects if "{number}" in path else {"": ""}
        for kind, number in changes.items():
            values = {
                "number": number,
                "step_id": 1,
                "item_id": 1,
                "check_id": 1,
                "n": 1,
                "slug": "search",
                "period": "2026-09",
                **keys,
                "key": keys["audit"],
            }
            address = path.format(**values)
            for name, client in everybody.items():
                if (
                    who in ("write", "writer")
                    and method != "GET"
                    and name not in READERS | {"nobody", "disabled"}
                    and kind != "secret"
                ):
                    continue  # who of them may do what is tests/machine/test_who_may.py
                answer = client.generic(
                    method,
                    address,
                    b"" if method == "GET" else _json(_body(operation)),
                    content_type="application/json",
                )
                hidden = kind == "secret" and name not in insiders
                assert answer.status_code in _allowed(who, name, hidden), (
                    operation,
                    kind,
                    name,
                    answer.status_code,
                    answer.content[:200],
                )


def test_a_token_never_decides(desk: Sit, objects: dict[str, str], keys: dict[str, int]) -> None:
    """contract.md, X6: of every operation that writes it stands here whether a token may; one that
    is missing fails.
    """
    person = desk("change-manager").user
    person.groups.set(Group.objects.all())
    _, secret = ApiToken.make(user=person, name="all", scope="write")
    described = {
        operation["operationId"]: (method.upper(), path)
        for path, methods in api.get_openapi_schema()["paths"].items()
        for method, operation in methods.items()
        if method != "get"
    }
    assert set(described) == BY_A_PERSON | BY_A_TOKEN_TOO
    for operation, (method, path) in described.items():
        values = {
            "number": objects["review"],
            "step_id": 1,
            "item_id": 1,
            "check_id": 1,
            "n": 1,
            "slug": "search",
            **keys,
            "key": keys["audit"],
        }
        answer = Client().generic(
            method,
            path.format(**values),
            _json(_body(operation)),
            content_type="application/json",
            HTTP_AUTHORIZATION=f"Bearer {secret}",
        )
        assert (answer.json().get("code") == "session_needed") == (operation in BY_A_PERSON), (
            operation,
            answer.content[:200],
        )
    body = {"start": "2026-10-08T02:00Z", "override_reason": "Other shards"}
    path = f"/api/v1/changes/{objects['review']}/schedule"
    overriding = Client().post(
        path, body, content_type="application/json", HTTP_AUTHORIZATION=f"Bearer {secret}"
    )
    assert (
        overriding.json()["code"] == "session_needed"
    )  # A37: overriding a conflict is one of the acts of a person


def _body(operation: str) -> Any:
    if operation in ("preview_calendar_rules", "save_calendar_rules"):
        values = {
            "name": operation,
            "kind": "freeze",
            "starts": "2026-10-20T00:00Z",
            "ends": "2026-10-21T00:00Z",
        }
        return {
            "edits": [{"kind": "closure", "values": values}],
            **({"reason": "Because"} if operation.startswith("save") else {}),
        }
    if operation == "propose_redaction":
        return {"n": 0, "reason": ""}
    return {"reason": "Because"} if "proposal" in operation or "lock" in operation else BODY


def _json(body: Any) -> bytes:
    import json

    return json.dumps(body).encode()


REFUSED = {403, 404, 409, 412, 422}


def _allowed(who: str | set[str], name: str, hidden: bool) -> set[int]:
    if name in ("nobody", "disabled"):
        return {401}
    if hidden:
        return {
            404,
            422,
            # 422: a body that is wrong for the operation is said before the change is looked for,
            # whatever the number
        }
    if isinstance(who, set):
        return {200, 201, 409, 422} if name in who else {403}
    if who in ("write", "writer"):
        return REFUSED if name in READERS else REFUSED | {200, 201}
    return {200}
