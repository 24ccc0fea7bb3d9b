"""Two people for a component that loses a safeguard (X19), and for a policy whose author is no
change manager any more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group

from approvals.models import Policy
from proposals.models import Proposal
from tests.approvals.policy_editor.test_policy_editor import Editor
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]


@pytest.fixture(autouse=True)
def october(at: Any) -> None:
    at("2026-10-01T09:00Z")


def test_a_component_loses_its_security_review_by_two_people(desk: Sit) -> None:
    """A36, contract.md: taking it away is 202 and waits; giving it is immediate."""
    manager = desk("change-manager")
    answer = manager.patch(
        "/components/payments", {"security_review": False, "reason": "Vaulted"}, expect=202
    )
    kept = {item["slug"]: item["security_review"] for item in manager.get("/components")["items"]}
    assert kept["payments"] is True
    desk("cto").post(f"/proposals/{answer['proposal']}/confirm")
    kept = {item["slug"]: item["security_review"] for item in manager.get("/components")["items"]}
    assert kept["payments"] is False
    manager.patch("/components/search", {"security_review": True}, expect=200)


def test_what_takes_a_safeguard_away_needs_a_reason_and_the_owner_may_be_the_second(
    desk: Sit,
) -> None:
    """A36: the component's owner, here without a role that confirms, may be the second person; the
    author never is.
    """
    manager = desk("change-manager")
    refused = manager.patch("/components/payments", {"security_review": False}, expect=422)
    assert [error["field"] for error in refused["errors"]] == ["reason"]
    manager.patch("/components/payments", {"owner": "engineer"}, expect=200)
    key = manager.patch(
        "/components/payments", {"security_review": False, "reason": "Vaulted"}, expect=202
    )["proposal"]
    manager.post(f"/proposals/{key}/confirm", expect=403)
    desk("tech-lead").post(f"/proposals/{key}/confirm", expect=403)
    desk("engineer").post(f"/proposals/{key}/confirm", expect=200)
    event = desk("auditor").get("/audit?action=component.edit")["items"][-1]
    assert event["data"]["fields"] == ["security_review"]
    assert (event["data"]["confirmed_by"], event["data"]["reason"]) == ("engineer", "Vaulted")


@pytest.mark.parametrize(("touched", "waits"), [("payments-db", True), ("search", False)])
def test_a_dependency_that_open_changes_rest_on_waits(desk: Sit, touched: str, waits: bool) -> None:
    """A36: payments needs payments-db; it waits only while open changes name the one and
    the other.
    """
    desk("engineer").submit("P3", components=["payments"])
    desk("engineer").submit("P3", components=[touched])
    manager = desk("change-manager")
    manager.patch(
        "/components/payments",
        {"depends_on": [], "name": "Paying", "reason": "Split"},
        expect=202 if waits else 200,
    )
    kept = next(item for item in manager.get("/components")["items"] if item["slug"] == "payments")
    assert (kept["name"], kept["depends_on"]) == ("Paying", ["payments-db"] if waits else [])
    if waits:
        desk("cto").post(f"/proposals/{Proposal.objects.get().pk}/confirm")
        kept = next(
            item for item in manager.get("/components")["items"] if item["slug"] == "payments"
        )
        assert kept["depends_on"] == []


def test_a_policy_of_somebody_who_may_edit_no_more_is_not_published(desk: Sit) -> None:
    """A27: as with the calendar's rules; whoever lost the role has proposed nothing."""
    editor = Editor("Engineers sign off P3")
    editor.save("P3-2-0", roles=["engineer", "devops-engineer"])
    editor.publish()
    desk("change-manager").user.groups.remove(Group.objects.get(name="change-manager"))
    desk("cto").post(f"/proposals/{Proposal.objects.get().pk}/confirm", expect=409)
    assert Policy.objects.latest("version").version == 1
