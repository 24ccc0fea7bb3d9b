"""What people do, in a real browser; every page free of serious accessibility findings, in both
themes and both widths.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.sight import faults
from tests.tries import share

pytestmark = pytest.mark.browser
Visit = Callable[..., Any]
FORM = {
    "summary": "CDN: cache product pictures for a week",
    "reason": "40 % of the traffic to the origin is pictures.", "components": "cdn",
    "implementation_steps": "Change the header\nPurge one folder and look",
    "rollback_plan": "Change the header back", "rollback_tested_what": "Changed it back",
    "rollback_tested_where": "staging", "rollback_tested_when": "2026-10-04",
    "testing_plan": "Look at ten pictures.", "dependencies": "none",
    "user_impact": "None.", "performance_impact": "Less traffic.", "security_impact": "None.",
    "requested_date": "2026-10-08", "estimated_minutes": "20",
    "rollback_minutes": "10",
}  # fmt: skip


def fill(page: Any, priority: str = "P2") -> None:
    page.locator(f"label:has(input[name=priority][value={priority}])").click()
    for name, value in FORM.items():
        page.locator(f"[name={name}]").fill(value)
    page.select_option("[name=risk]", "low")
    for name in (
        "affects_authentication",
        "affects_authorization",
        "affects_data_access",
        "affects_network",
        "downtime_required",
        "users_affected",
    ):
        page.locator(f"input[name={name}][value=no]").check()


def submit_change(page: Any) -> str:
    page.goto("/changes/new")
    fill(page)
    page.get_by_role("button", name="Submit for review").click()
    page.wait_for_url(re.compile(r"/changes/CR-"))
    return page.url.rstrip("/").split("/")[-1]


@pytest.mark.parametrize("script", [True, False], ids=["with JavaScript", "without JavaScript"])
def test_submit_by_form_approve_and_reject_by_click(visit: Visit, script: bool) -> None:
    """The essential works without JavaScript too."""
    engineer = visit("engineer", script=script)
    number = submit_change(engineer)
    assert "In review" in engineer.content()
    lead = visit("tech-lead", script=script)
    lead.goto("/approvals/")
    lead.goto(f"/changes/{number}/")
    for key in ("T1", "T2", "T3", "T4", "T5", "T6"):
        lead.locator(f"#tick_{key}").check()
    lead.get_by_role("button", name="Approve").click()
    lead.wait_for_load_state()
    assert "Approved: " in lead.content()
    owner = visit("product-manager", script=script, width=390)
    owner.goto(f"/changes/{number}/")
    owner.get_by_role("button", name="Reject").click()
    owner.wait_for_load_state()
    assert "to reject, say why" in owner.content()
    owner.locator("#cm").fill("The origin is replaced next month.")
    owner.get_by_role("button", name="Reject").click()
    owner.wait_for_load_state()
    engineer.goto(f"/changes/{number}/")
    assert "Rejected" in engineer.locator("h1 + .facts").inner_text()
    assert "The origin is replaced next month." in engineer.content()


def test_approve_stays_shut_until_every_item_is_ticked(visit: Visit) -> None:
    """A4: the button says how many are left."""
    number = submit_change(visit("engineer"))
    page = visit("tech-lead")
    page.goto(f"/changes/{number}/")
    assert "tick 6 more items" in page.locator("#why-not").inner_text()
    page.get_by_role("button", name="Approve").click(
        force=True
    )  # aria-disabled: a person can still press it
    assert page.url.endswith(f"{number}/")
    assert page.evaluate("document.activeElement.id") == "tick_T1"


def test_a_draft_is_saved_while_typing_and_errors_lose_nothing(visit: Visit) -> None:
    page = visit("engineer2")
    page.goto("/changes/new")
    page.locator("label:has(input[name=priority][value=P1])").click()
    page.locator("[name=summary]").fill("Half a thought")
    page.locator("[name=reason]").fill("Not finished")
    page.locator("#saved", has_text="draft saved").wait_for()
    number = re.search(r"CR-[\d-]+", page.locator("#saved").inner_text())
    assert number
    page.locator("[name=requested_date]").fill("2026-11-24")
    page.locator("#verdict", has_text="code freeze for Thanksgiving").wait_for()
    assert "Tue 5 Jan 2027" in page.locator("#verdict").inner_text()
    page.get_by_role("button", name="Submit for review").click()
    page.wait_for_load_state()
    assert "Rollback plan" in page.locator("#errors").inner_text()
    assert page.locator("[name=reason]").input_value() == "Not finished"
    left = page.locator("#errors li").count()
    plan = page.locator("[name=rollback_plan]")
    assert "is-invalid" in str(plan.get_attribute("class"))
    plan.fill("Redeploy 3.1")
    assert "is-invalid" not in str(
        plan.get_attribute("class")
    )  # X13: what is mended is red no longer
    assert page.locator("#errors li").count() == left - 1
    assert "Rollback plan" not in page.locator("#errors").inner_text()
    page.goto(f"/changes/{number[0]}/edit")
    assert page.locator("[name=summary]").input_value() == "Half a thought"


def test_the_manager_opens_the_report_and_each_number_its_list(visit: Visit) -> None:
    """Managers read the month on a phone and at a desk, in both themes."""
    page = visit("manager")
    page.goto("/reports/2026-09/")
    total = page.locator(".report-lines dd a").first
    count = int(total.inner_text())
    total.click()
    page.wait_for_load_state()
    assert f"{count} change" in page.locator(".list-foot").inner_text()


def test_a_run_goes_on_while_the_page_is_open(visit: Visit) -> None:
    """experience.md, cockpit: clocks count, and what another person notes appears without a
    reload.
    """
    page = visit("oncall")
    page.goto(f"{addresses(page, 'implementing')[1]}")
    digits = page.locator(".digits").first
    before = digits.inner_text()
    page.wait_for_function(
        "before => document.querySelector('.digits').textContent !== before",
        arg=before,
        timeout=5000,
    )
    colleague = visit("devops")
    colleague.goto(page.url)
    colleague.get_by_text("Log a note or a deviation…").click()
    colleague.locator("#log-message").fill("The second consumer is back")
    colleague.get_by_role("button", name="Log a note").click()
    colleague.wait_for_load_state()
    page.locator("#log", has_text="The second consumer is back").wait_for(timeout=30000)


PAGES = [
    ("-", "/accounts/login/"), ("engineer", "/"), ("tech-lead", "/"), ("manager", "/"),
    ("tech-lead", "/approvals/"), ("engineer", "/changes/"), ("engineer", "/changes/new"),
    ("engineer", "/changes/?q=nothing-like-it"), ("engineer", "/calendar/"),
    ("engineer", "/calendar/?at=2026-11"),
    ("change-manager", "/calendar/?view=week"),
    ("change-manager", "/calendar/?view=timeline&zone=Asia/Kolkata"),
    ("engineer", "/calendar/?view=agenda&at=2026-11"), ("engineer", "/calendar/day/2026-10-08/"),
    ("engineer", "/calendar/open/?at=2026-11-24T02:00"),
    ("engineer", "/calendar/find/?priority=P2&component=search&work=60&rollback=15"),
    ("change-manager", "/calendar/rules/"),
    ("change-manager", "/calendar/rules/window/1/"),
    ("change-manager", "/calendar/rules/new/closing/"),
    ("engineer", "/calendar/rules/new/opening/"), ("change-manager", "/calendar/lockdown/"),
    ("change-manager", "/calendar/import/"), ("engineer", "/calendar/feeds/"),
    ("manager", "/reports/"), ("manager", "/reports/2026-09/"),
    ("auditor", "/audit/?verify=1"), ("engineer", "/settings/"), ("engineer", "/settings/me/"),
    ("engineer", "/settings/tokens/"), ("change-manager", "/settings/components/new"),
    ("change-manager", "/settings/duties/"), ("engineer", "/api/v1/docs"),
    ("engineer", "/accounts/password/change/"), ("engineer", "/settings/people/"),
    ("admin", "/settings/people/"), ("admin", "/settings/people/new"),
    ("manager", "/reports/2026-09/caused_issue/"), ("manager", "/reports/2026-09/mttr/"),
    ("engineer", "/accounts/2fa/"), ("engineer", "/accounts/sessions/"), ("tech-lead", "in_review"),
    ("change-manager", "/approvals/waiting/"), ("devops-lead", "/settings/delegations/"),
    ("change-manager", "/settings/policy/"), ("change-manager", "draft"),
    ("engineer", "/settings/policy/simulator/?priority=P1&security=on&requester=devops-lead"),
    ("cto", "/settings/proposals/"), ("tech-lead", "card"), ("eng-manager", "card"),
    ("security", "suggest"), ("oncall", "/settings/duties/"),
    ("change-manager", "/settings/components/search/"), ("devops-lead", "/approvals/"),
    ("oncall", "in_review"),
    ("oncall", "implementing"), ("oncall", "completed"), ("devops", "approved"),
    ("engineer", "changes_requested"), ("auditor", "closed"),
]  # fmt: skip


#: Of these everyday the first and third, or the second and fourth: both themes, both widths.
LOOKS = [("light", 1280), ("dark", 1280), ("dark", 390), ("light", 390)]


@pytest.mark.parametrize(("username", "place"), PAGES, ids=[f"{u} {p}" for u, p in PAGES])
def test_axe_finds_nothing_serious_and_nothing_scrolls_sideways(
    look: Visit, username: str, place: str
) -> None:
    """WCAG 2.2 AA in light and dark, at 1280 and 390 px."""
    found = []
    for theme, width in share(LOOKS, 2, PAGES.index((username, place))):
        page = look(username, width=width, theme=theme)
        for address in addresses(page, place):
            page.goto(address)
            found += [(address, theme, width, fault) for fault in faults(page)]
    assert found == [], json.dumps(found, indent=1)


def addresses(page: Any, place: str) -> list[str]:
    """An address as it is, or the tabs of the first change in that state."""
    if place.startswith("/"):
        return [place]
    if place == "card":
        page.goto("/approvals/")
        return [page.locator("ul.queue a.act[href^='/approvals/']").first.get_attribute("href")]
    if place == "suggest":
        page.goto("/changes/?state=in_review")
        return [f"{page.locator('[data-row] a').first.get_attribute('href')}suggest/rollback_plan"]
    if place == "draft":
        page.goto("/settings/policy/")
        page.get_by_label("What it will change").fill("Two tech leads review P1")
        page.get_by_role("button", name="Start a draft").click()
        page.locator("#step-P1-1-0 summary").click()
        page.locator("#step-P1-1-0 [name=needed]").fill("2")
        page.locator("#step-P1-1-0").get_by_role("button", name="Save this step").click()
        page.wait_for_url(re.compile("#P1"))
        address = page.url.split("#")[0]
        return [address, f"{address}trial/"]
    page.goto(f"/changes/?state={place}")
    href = page.locator("[data-row] a").first.get_attribute("href")
    return [href, f"{href}implementation/", f"{href}history/"]
