"""Exceptions that are easily counted not at all, or twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from changemgmt.tick import tick
from tests.reports import pages
from tests.reports.test_exceptions_counted import EMERGENCY, NONE, answer, counted, fail, one
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]


def test_a_change_raised_while_changes_were_requested(desk: Sit, at: Any) -> None:
    """R2, A8: sent back as a P2, given P0 by its requester and submitted again: it was raised."""
    at("2026-10-07T09:00Z")
    number = str(desk("engineer").submit("P2", requested_date="2026-10-07")["id"])
    desk("tech-lead").decide(number, "technical", "request_changes", comment="Say how long")
    desk("engineer").patch(f"/changes/{number}", {"version": 1, "priority": "P0", **EMERGENCY})
    desk("engineer").post(f"/changes/{number}/submit")
    desk("cto").decide(number, "emergency")
    desk("oncall").post(f"/changes/{number}/start")
    fail(desk, number, "oncall")
    one(desk, "raised_to_p0", number)


def test_a_denied_telephone_approval_stays_in_one_months_report(desk: Sit, at: Any) -> None:
    """A4, A31, promise 7: denied in October, authorised anew and run in November.

    However it is counted, each report's number is as long as its list, and it is counted once.
    """
    at("2026-10-30T09:00Z")
    number = str(desk("engineer").submit("P0", requested_date="2026-10-30")["id"])
    desk("oncall").decide(number, "emergency", on_behalf_of="cto")
    answer(desk, number, "not_approved")
    at("2026-11-03T00:00Z")
    tick()
    assert counted(desk) == NONE | {"phone_approvals_unconfirmed": 1}
    at("2026-11-05T09:00Z")
    desk("cto").decide(number, "emergency")
    desk("oncall").post(f"/changes/{number}/start")
    fail(desk, number, "oncall")
    tick()
    told = {m: counted(desk, m)["phone_approvals_unconfirmed"] for m in ("2026-10", "2026-11")}
    behind = "/reports/{}/phone_approvals_unconfirmed/"
    lists = {m: len(pages.numbers_behind(desk("auditor"), behind.format(m))) for m in told}
    assert told == lists
    assert sum(told.values()) == 1
