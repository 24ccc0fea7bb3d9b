"""A story of issue 3: an approver on leave, a delegate, an edit, a second round, a mail's link on a
telephone of 390 px.
"""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.test_pages import fill
from tests.product import Person, eventually

pytestmark = [pytest.mark.browser, pytest.mark.journey]
Visit = Callable[..., Any]


def mails_to(var: Path, address: str, words: str) -> list[str]:
    """The texts of the mails to that address with these words in the subject, the oldest first, as
    the worker handed them over.
    """
    found = []
    for path in sorted(
        next(var.glob("clock-*")).glob("mail/*.eml"), key=lambda path: path.stat().st_mtime
    ):
        message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        if address in str(message["To"]) and words in str(message["Subject"]):
            found.append(str(message.get_payload(decode=True), "utf-8"))
    return found


def link_in(text: str) -> str:
    return re.findall(r"/approvals/mail/\S+", text)[0]


def test_an_approver_on_leave(visit: Visit, product: str, product_var: Path) -> None:
    """Grace is away, Yuki decides for her; asks for changes; the edit kills the old link; the
    second round is approved by thumb.
    """
    grace = visit("tech-lead")
    grace.goto("/settings/delegations/")
    grace.select_option("#receiver", "devops2")
    grace.locator("#ends_at").fill("2026-10-09T08:00")
    grace.get_by_role("button", name="Delegate").click()
    grace.get_by_text("have both been told").wait_for()

    ines = visit("engineer")
    ines.goto("/changes/new")
    fill(ines)
    ines.locator("[name=requested_window]").fill("2026-10-08T02:00Z")
    ines.get_by_role("button", name="Submit for review").click()
    ines.wait_for_url(re.compile(r"/changes/CR-"))
    number = ines.url.rstrip("/").split("/")[-1]

    words = f"{number} waits for your technical review"
    first = link_in(eventually(lambda: mails_to(product_var, "devops2", words))[0])
    yuki = visit("devops2", width=390)
    yuki.goto(first)
    yuki.get_by_role("heading", name="CDN: cache product pictures for a week").wait_for()
    assert "Technical review for Grace Lindqvist" in yuki.content()
    assert yuki.evaluate("document.documentElement.scrollWidth") <= 390
    yuki.get_by_label("Comment", exact=False).first.fill("Name the folder that is purged.")
    yuki.get_by_role("button", name="Request changes").click()
    yuki.wait_for_url(re.compile(r"/approvals/$"))

    ines.goto(f"/changes/{number}/")
    ines.get_by_text("Name the folder that is purged.").first.wait_for()
    ines.get_by_role("link", name="Answer").click()
    ines.locator("[name=implementation_steps]").fill(
        "Change the header\nPurge /pictures/2026 and look"
    )
    ines.get_by_role("button", name="Submit for review").click()
    ines.wait_for_url(re.compile(rf"/changes/{number}/$"))

    second = link_in(
        eventually(lambda: len(found := mails_to(product_var, "devops2", words)) > 1 and found)[1]
    )
    yuki.goto(first)
    assert "which began a new round" in yuki.content()
    yuki.goto(second)
    assert "/pictures/2026" in yuki.locator("figure.diff").first.inner_text()
    for key in ("T1", "T2", "T3", "T4", "T5", "T6"):
        yuki.locator(f"#tick_{key}").check()
    yuki.get_by_role("button", name="Approve").click()
    yuki.wait_for_url(re.compile(r"/approvals/$"))
    yuki.goto(second)
    assert "Nothing to decide here" in yuki.content()

    for who, kind in (
        ("product-manager", "business"),
        ("eng-manager", "sign_off"),
        ("devops-lead", "sign_off"),
    ):
        Person(product, who).decide(number, kind)
    ines.goto(f"/changes/{number}/")
    assert "Yuki Tanaka for Grace Lindqvist" in ines.content()
    assert Person(product, "auditor").get(f"/changes/{number}")["state"] == "scheduled"
    grace.reload()
    grace.get_by_role("button", name=re.compile("End now")).first.click()
    grace.get_by_text("The delegation has ended").wait_for()
