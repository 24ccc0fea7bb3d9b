"""A worker that is really killed, and comes back hours and days later: the whole product on one
data folder, its clock moved between runs.
"""

from __future__ import annotations

import email
import email.policy
import os
import signal
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.test_live import approve, staff
from tests.product import Person, eventually, running
from tests.world import fields

pytestmark = pytest.mark.journey


def signal_clockwork(var: Path, how: signal.Signals) -> None:
    """To beat, the worker, and what the worker forked."""
    found = list(_celery(var))
    assert len(found) >= 3, found
    for pid in found:
        os.kill(pid, how)


def _celery(var: Path) -> Iterator[int]:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line, environment = (
                (process / "cmdline").read_bytes(),
                (process / "environ").read_bytes(),
            )
        except OSError:
            continue
        if b"celery" in line and f"CHANGEMGMT_VAR_IN_USE={var}".encode() in environment.split(
            b"\0"
        ):
            yield int(process.name)


def mails(var: Path, number: str, word: str) -> list[EmailMessage]:
    """What the requester was sent about a change, by a word of the subject."""
    found = [
        email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        for path in sorted(var.glob("mail/*.eml"))
    ]
    mine = [
        mail
        for mail in found
        if isinstance(mail, EmailMessage) and str(mail["To"]).startswith("engineer@")
    ]
    return [
        mail for mail in mine if number in str(mail["Subject"]) and word in str(mail["Subject"])
    ]


def book(people: Any, start: str) -> str:
    change = people("engineer").post(
        "/changes", fields("P2", components=["build-farm"], requested_date=start[:10]), expect=201
    )
    number = str(change["id"])
    people("engineer").post(f"/changes/{number}/submit")
    approve(people, number)
    people("devops").post(
        f"/changes/{number}/schedule",
        {"start": start, "short_notice_reason": "Agreed with everybody who is on call."},
    )
    return number


def book_p3(people: Any) -> str:
    change = people("engineer").post(
        "/changes",
        fields("P3", components=["recommendations"], requested_date="2026-10-08"),
        expect=201,
    )
    number = str(change["id"])
    people("engineer").post(f"/changes/{number}/submit")
    people("tech-lead").decide(number, "technical")
    people("devops-lead").decide(number, "sign_off")
    return number


def where(person: Person, number: str) -> tuple[str, str | None]:
    change = person.get(f"/changes/{number}")
    return change["state"], (change["slot"] or {}).get("start")


def test_a_worker_killed_over_openings_closings_and_a_rule_change(tmp_path: Path) -> None:
    """Done-when of windows and freezes, F1, F7: 6 h and 48 h without a worker; one tick makes all
    true, each notice once, marked late.
    """
    var = tmp_path
    with running(var, clock="2026-10-06T00:30Z", same_data=True) as base:
        people = staff(base)
        missed, shut = book(people, "2026-10-06T02:00Z"), book(people, "2026-10-13T02:00Z")
        later, p3 = book(people, "2026-10-08T02:00Z"), book_p3(people)
        assert where(people("engineer"), p3) == ("scheduled", "2026-10-08T02:00:00Z")
        eventually(lambda: mails(var, missed, "would stop it"))
        signal_clockwork(var, signal.SIGSTOP)
        freeze = {"kind": "closure", "values": {
            "name": "the move of the build farm", "kind": "freeze", "starts": "2026-10-13T00:00Z",
            "ends": "2026-10-14T00:00Z",
        }}  # fmt: skip
        assert people("change-manager").post(
            "/calendar/rules", {"edits": [freeze], "reason": "It moves that day"}
        )["applied"]
        signal_clockwork(var, signal.SIGKILL)
    assert mails(var, shut, "lost its slot") == [], "nobody was there to tell it"

    with running(var, clock="2026-10-06T06:30Z", same_data=True) as base:
        people = staff(base)
        (told,) = eventually(lambda: mails(var, missed, "missed its slot"))
        assert (
            "This message comes late: it was due on Tue 6 Oct 2026, 04:00 UTC."
            in told.get_content()
        )
        (lost,) = eventually(lambda: mails(var, shut, "lost its slot"))
        assert "This message comes late: it was due on Tue 6 Oct 2026, 00:3" in lost.get_content()
        assert where(people("engineer"), missed) == ("approved", None)
        assert where(people("engineer"), shut) == ("approved", None)
        assert where(people("engineer"), later) == ("scheduled", "2026-10-08T02:00:00Z")
        signal_clockwork(var, signal.SIGKILL)

    with running(var, clock="2026-10-08T06:30Z", same_data=True) as base:
        people = staff(base)
        (told,) = eventually(lambda: mails(var, later, "missed its slot"))
        assert "it was due on Thu 8 Oct 2026, 04:00 UTC." in told.get_content()
        eventually(lambda: where(people("engineer"), p3) == ("scheduled", "2026-10-15T02:00:00Z"))
        assert where(people("engineer"), later) == ("approved", None)
        assert [len(mails(var, number, "missed its slot")) for number in (missed, later, p3)] == [
            1,
            1,
            1,
        ]
        assert [len(mails(var, number, "lost its slot")) for number in (missed, shut, later)] == [
            0,
            1,
            0,
        ]
        assert mails(var, missed, "may start now") == mails(var, later, "may start now") == [], (
            "what has passed is not announced"
        )
