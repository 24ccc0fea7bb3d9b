"""Three nights over HTTP, with gate, worker and mail server: back at ten past four, alone at three,
filed at breakfast (A30, A32, A33).

One data folder; the clock moves between the runs of the product, as the hours do. What each rule
says is tried in `tests/implementation/run/test_the_night.py`; here it is seen to happen.
"""

from __future__ import annotations

import email
import email.policy
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.test_live import People, approve, book_now, staff
from tests.product import Person, eventually, running
from tests.world import fields

pytestmark = pytest.mark.journey
CALLED = "Called Helen Park at 03:02 and 03:06; nobody answered."


class Pipeline:
    """What stands before a deployment: a token that may read, and nothing else."""

    def __init__(self, person: Person) -> None:
        page = person.opener.open(f"{person.base}/settings/tokens/").read()
        assert b"API tokens" in page
        form = f"csrfmiddlewaretoken={person.csrf}&name=pipeline&scope=read&days=30".encode()
        shown = person.opener.open(
            urllib.request.Request(
                f"{person.base}/settings/tokens/", data=form, headers={"Referer": person.base}
            )
        )
        text = shown.read().decode()
        self.secret = "cm_" + text.split("cm_", 1)[1].split("<", 1)[0].split('"', 1)[0].strip()

    def ask(self, base: str, number: str) -> dict[str, Any]:
        request = urllib.request.Request(
            f"{base}/api/v1/gate/{number}", headers={"Authorization": f"Bearer {self.secret}"}
        )
        with urllib.request.urlopen(request) as answer:
            return dict(json.loads(answer.read()))


def mailed(var: Path, to: str) -> list[str]:
    """Subjects of what the mail server took for a person."""
    found = [
        email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        for path in sorted(var.glob("mail/*.eml"))
    ]
    return [str(mail["Subject"]) for mail in found if str(mail["To"]).startswith(f"{to}@")]


def counted(people: People) -> dict[str, int]:
    return dict(people("manager").get("/reports/monthly/2026-10.json")["exceptions"])


def test_three_nights(tmp_path: Path) -> None:
    """A30, A32, A33, A37, R97, R147: each of them to its end, on one installation."""
    with running(tmp_path, clock="2026-10-06T02:04:00Z", same_data=True) as base:
        people = staff(base)
        pipeline, before = Pipeline(people("devops")), counted(people)
        started = _started_in_its_window(people)
    with running(tmp_path, clock="2026-10-06T04:10:00Z", same_data=True) as base:
        people = staff(base)
        _back_after_the_windows_end_in_a_lockdown(people, base, pipeline, started, tmp_path)
    with running(tmp_path, clock="2026-10-07T03:00:00Z", same_data=True) as base:
        people = staff(base)
        alone = _alone_at_three(people, base, pipeline, tmp_path)
    with running(tmp_path, clock="2026-10-07T07:30:00Z", same_data=True) as base:
        people = staff(base)
        eventually(
            lambda: any(
                alone in subject and "nobody has answered yet" in subject
                for subject in mailed(tmp_path, "cto")
            )
        )
        _answered_in_the_morning(people, alone)
        _filed_at_breakfast(people)
        after = counted(people)
        grown = {
            name: after[name] - before[name]
            for name in ("unauthorised_starts", "recorded_afterwards")
        }
        assert grown == {"unauthorised_starts": 2, "recorded_afterwards": 1}


def _started_in_its_window(people: People) -> str:
    made = people("engineer").post(
        "/changes", fields("P2", components=["build-farm"], requested_date="2026-10-06"), expect=201
    )
    number = str(made["id"])
    people("engineer").post(f"/changes/{number}/submit")
    approve(people, number)
    book_now(people, number)
    assert people("devops").post(f"/changes/{number}/start")["state"] == "implementing"
    return number


def _back_after_the_windows_end_in_a_lockdown(
    people: People, base: str, pipeline: Pipeline, number: str, var: Path
) -> None:
    """A30, R97: shut to what goes forward, open to what goes back, and shut again when it
    is back.
    """
    lockdown = people("change-manager").post(
        "/calendar/lockdowns", {"reason": "Card payments fail"}, expect=201
    )
    forward = pipeline.ask(base, number)
    assert (forward["allow"], forward.get("purpose")) == (False, None)
    devops = people("devops")
    assert (
        devops.post(f"/changes/{number}/roll-back", {"reason": "Errors rise"})["state"]
        == "rolling_back"
    )
    back = pipeline.ask(base, number)
    assert (back["allow"], back["purpose"], back["reasons"]) == (True, "rollback", [])
    devops.tick_off(number, "rollback")
    assert devops.post(f"/changes/{number}/finish-rollback")["state"] == "rolled_back"
    assert pipeline.ask(base, number)["allow"] is False
    eventually(lambda: f"{number} is being rolled back" in mailed(var, "engineer"))
    people("change-manager").post(
        f"/calendar/lockdowns/{lockdown['id']}/lift", {"reason": "Payments are back"}
    )


def _alone_at_three(people: People, base: str, pipeline: Pipeline, var: Path) -> str:
    """A33 a: filed and started by one person with a reason; those who should have been asked are
    told at once.
    """
    oncall = people("oncall")
    number = str(
        oncall.post("/changes", fields("P0", components=["cdn"], requested_date=None), expect=201)[
            "id"
        ]
    )
    oncall.post(f"/changes/{number}/submit")
    assert pipeline.ask(base, number)["allow"] is False
    people("devops").post(f"/changes/{number}/start", {"reason": CALLED}, expect=409)
    oncall.post(f"/changes/{number}/start", expect=422)
    assert oncall.post(f"/changes/{number}/start", {"reason": CALLED})["state"] == "implementing"
    assert pipeline.ask(base, number)["allow"] is True
    eventually(
        lambda: any(number in subject and "started" in subject for subject in mailed(var, "cto"))
    )
    oncall.tick_off(number, "start", "during", "post")
    oncall.post(f"/changes/{number}/finish")
    return number


def _answered_in_the_morning(people: People, number: str) -> None:
    oncall, cto = people("oncall"), people("cto")
    assert oncall.post(f"/changes/{number}/complete")["state"] == "completed"
    (step,) = [
        step for step in cto.get(f"/changes/{number}/steps")["items"] if step["kind"] == "emergency"
    ]
    oncall.post(
        f"/changes/{number}/steps/{step['id']}/confirmation", {"answer": "ratified"}, expect=403
    )
    cto.post(f"/changes/{number}/steps/{step['id']}/confirmation", {"answer": "ratified"})
    oncall.call(
        "PUT",
        f"/changes/{number}/review",
        {"summary": "The pool was exhausted", "runbook_updated": True},
    )
    for not_they in ("oncall", "cto"):
        people(not_they).post(
            f"/changes/{number}/review/confirmation", {"p0_justified": True}, expect=403
        )
    people("change-manager").post(f"/changes/{number}/review/confirmation", {"p0_justified": True})


def _filed_at_breakfast(people: People) -> None:
    """A33 b: with the times that were."""
    oncall = people("oncall")
    times = {"actual_start": "2026-10-07T04:10Z", "actual_end": "2026-10-07T04:40Z"}
    number = oncall.post(
        "/changes",
        fields("P0", components=["monitoring"], requested_date=None, **times),
        expect=201,
    )["id"]
    found = oncall.post(f"/changes/{number}/submit")
    assert (found["state"], found["started_at"], found["finished_at"]) == (
        "verifying",
        "2026-10-07T04:10:00Z",
        "2026-10-07T04:40:00Z",
    )
    oncall.tick_off(number, "start", "during", "post")
    assert (
        oncall.post(f"/changes/{number}/complete", {"reason": "Watched since"})["state"]
        == "completed"
    )
