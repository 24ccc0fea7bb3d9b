"""Clicks of a run: from taking it over to its review."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from accounts.models import User
from implementation.evidence import evidence
from implementation.review import reviews
from implementation.run import verbs
from web.clicks import Posted, click


@click("take-over", "You implement it now.", tab="run")
def take_over(actor: User, number: str, posted: Posted) -> Any:
    return verbs.take_over(actor=actor, number=number, reason=posted.text("reason"))


@click("accept-take-over", "Accepted: it may go forward.", tab="run")
def accept_take_over(actor: User, number: str, posted: Posted) -> Any:
    return verbs.accept_take_over(actor=actor, number=number, reason=posted.text("reason"))


@click("start", "Started.", tab="run")
def start(actor: User, number: str, posted: Posted) -> Any:
    return verbs.start(actor=actor, number=number, reason=posted.text("reason"))


@click(
    "finish", "The steps are through; verification and the 30-minute watch have begun.", tab="run"
)
def finish(actor: User, number: str, posted: Posted) -> Any:
    return verbs.finish(actor=actor, number=number)


@click("complete", "Completed. The review is due within 24 hours.", tab="run")
def complete(actor: User, number: str, posted: Posted) -> Any:
    return verbs.complete(actor=actor, number=number, reason=posted.text("reason"))


@click(
    "roll_back",
    lambda change: f"The {change.way_back.lower()} has begun: its checklist is open.",
    tab="run",
)
def roll_back(actor: User, number: str, posted: Posted) -> Any:
    return verbs.roll_back(
        actor=actor, number=number, reason=posted.text("reason"), trigger=posted.text("trigger")
    )


@click(
    "finish_rollback",
    lambda change: f"The {change.way_back.lower()} is finished. The review is due within 24 hours.",
    tab="run",
)
def finish_rollback(actor: User, number: str, posted: Posted) -> Any:
    return verbs.finish_rollback(actor=actor, number=number)


@click("fail", "Recorded as failed. The review is due within 24 hours.", tab="run")
def fail(actor: User, number: str, posted: Posted) -> Any:
    return verbs.fail(actor=actor, number=number, reason=posted.text("reason"))


@click("extend", "Extended.", tab="run")
def extend(actor: User, number: str, posted: Posted) -> Any:
    return verbs.extend(
        actor=actor, number=number, minutes=posted.key("minutes"), reason=posted.text("reason")
    )


@click("item", "", tab="run", anchor=lambda posted: f"#item-{posted.key('item')}")
def item(actor: User, number: str, posted: Posted) -> Any:
    note, output = posted.values.get("note"), posted.values.get("output")
    return evidence.settle_item(
        actor=actor,
        number=number,
        item_id=posted.key("item"),
        state=posted.text("state"),
        note=note,
        output=output,
    )


@click("add-item", "Added.", tab="run")
def add_item(actor: User, number: str, posted: Posted) -> Any:
    return evidence.add_item(
        actor=actor, number=number, phase=posted.text("phase"), text=posted.text("text")
    )


@click("log", "Noted.", tab="run")
def log(actor: User, number: str, posted: Posted) -> Any:
    return evidence.log(
        actor=actor, number=number, kind=posted.text("kind", "note"), message=posted.text("message")
    )


@click("check", "The check is recorded.", tab="run")
def check(actor: User, number: str, posted: Posted) -> Any:
    return evidence.record_check(
        actor=actor,
        number=number,
        name=posted.text("name"),
        kind=posted.text("kind"),
        passed=posted.text("passed") == "yes",
        output=posted.text("output"),
    )


@click("accept-check", "Accepted.", tab="run")
def accept_check(actor: User, number: str, posted: Posted) -> Any:
    return evidence.accept_check(
        actor=actor, number=number, check_id=posted.key("check"), reason=posted.text("reason")
    )


@click("issue", "The issue is open.", tab="run")
def issue(actor: User, number: str, posted: Posted) -> Any:
    return evidence.open_issue(
        actor=actor,
        number=number,
        severity=posted.text("severity"),
        summary=posted.text("summary"),
        detected_at=posted.text("detected_at") or None,
        link=posted.text("link"),
    )


@click("resolve-issue", "The issue is resolved.", tab="run")
def resolve_issue(actor: User, number: str, posted: Posted) -> Any:
    now = timezone.now().isoformat()
    return evidence.edit_issue(
        actor=actor, number=number, n=posted.key("n"), values={"resolved_at": now}
    )


@click("review", "The review is written.", tab="run")
def review(actor: User, number: str, posted: Posted) -> Any:
    texts = {
        name: posted.text(name) for name in ("summary", "deviations", "lessons", "improvements")
    }
    return reviews.write_review(
        actor=actor, number=number, runbook_updated=posted.answer("runbook_updated"), **texts
    )


@click("confirm", "Confirmed.", tab="run")
def confirm(actor: User, number: str, posted: Posted) -> Any:
    return reviews.confirm_review(
        actor=actor, number=number, p0_justified=posted.answer("p0_justified")
    )


@click("close", "Closed.")
def close(actor: User, number: str, posted: Posted) -> Any:
    return reviews.close(actor=actor, number=number)
