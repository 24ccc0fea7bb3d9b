"""How a change comes to where a test of its run begins, by the people who bring it there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from html import unescape
from typing import Any

from django.db import transaction

from notifications.models import Message
from tests.world import Desk, html_of

Sit = Callable[[str], Desk]
At = Callable[[str], None]
MORNING, SLOT = "2026-10-01T09:00:00Z", "2026-10-06T02:00:00Z"  # a Thursday; the Tuesday after
PEOPLE = """
engineer engineer2 devops devops2 senior-devops devops-lead tech-lead eng-manager product-manager
security cto emergency-contact oncall change-manager manager auditor admin
"""
EVERYBODY = PEOPLE.split()


def later(instant: str, **more: float) -> str:
    """That much after the instant: `later(SLOT, minutes=30)`."""
    moved = datetime.fromisoformat(instant) + timedelta(**more)
    return f"{moved:%Y-%m-%dT%H:%M:%SZ}"


@contextmanager
def tried() -> Iterator[None]:
    """What is done within is undone at its end: every row of a table finds the same change."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def why(refusal: dict[str, Any], *more: str) -> list[Any]:
    """The codes of its reasons, in their order; with `more`, (code, …) of each."""
    if not more:
        return [reason["code"] for reason in refusal["reasons"]]
    return [tuple(reason[name] for name in ("code", *more)) for reason in refusal["reasons"]]


def told(kind: str) -> list[str]:
    """Whom a kind of message went to, by name, each as often as it did."""
    people = Message.objects.filter(kind=kind).values_list("recipient__username", flat=True)
    return sorted(people)


class Road:
    """`engineer` asks, `devops` implements; a P3's plan is 30 minutes of work and 15 to go back."""

    def __init__(self, desk: Sit, at: At) -> None:
        self.desk, self.at = desk, at

    def scheduled(self, priority: str = "P3", start: str = SLOT, **more: Any) -> str:
        """Booked at `start`, where the clock then stands, its checklist before the window done."""
        self.at(MORNING)
        wanted = {"implementer": "devops", "requested_window": {"start": start}}
        change = self.desk("engineer").submit(priority, **(wanted | more))
        number = str(change["id"])
        self.approve(number, priority)
        booked = self.desk("engineer").get(f"/changes/{number}")
        assert (booked["state"], booked["slot"]["start"]) == ("scheduled", start)
        self.at(start)
        self.desk("devops").tick_off(number, "pre")
        return number

    def approve(self, number: str, priority: str) -> None:
        self.desk("tech-lead").decide(number, "technical")
        if priority != "P3":
            self.desk("product-manager").decide(number, "business")
        for who in ["devops2"] if priority == "P3" else ["eng-manager", "devops-lead"]:
            self.desk(who).decide(number, "sign_off")

    def authorised(self, **more: Any) -> str:
        """An emergency that may start, on the Thursday morning; its checklist is untouched."""
        self.at(MORNING)
        wanted: dict[str, Any] = {"implementer": "devops"}
        number = str(self.desk("engineer").submit("P0", **(wanted | more))["id"])
        self.desk("cto").decide(number, "emergency")
        return number

    def implementing(self, priority: str = "P3", **more: Any) -> str:
        number = self.authorised(**more) if priority == "P0" else self.scheduled(priority, **more)
        self.desk("devops").post(f"/changes/{number}/start")
        return number

    def verifying(self, priority: str = "P3", **more: Any) -> str:
        """Finished in the minute in which it began, with everything afterwards done, too."""
        number = self.implementing(priority, **more)
        self.desk("devops").tick_off(number, "start", "during", "post")
        self.desk("devops").post(f"/changes/{number}/finish")
        return number

    def completed(self, priority: str = "P3", **more: Any) -> str:
        """30 minutes after it began, where the clock stands then."""
        number = self.verifying(priority, **more)
        self.at(later(MORNING if priority == "P0" else SLOT, minutes=30))
        self.desk("devops").post(f"/changes/{number}/complete")
        return number

    def rolling_back(self, priority: str = "P3", **more: Any) -> str:
        number = self.implementing(priority, **more)
        self.desk("devops").post(f"/changes/{number}/roll-back", {"reason": "Errors everywhere"})
        self.desk("devops").tick_off(number, "rollback")
        return number

    def rolled_back(self, priority: str = "P3", **more: Any) -> str:
        number = self.rolling_back(priority, **more)
        self.desk("devops").post(f"/changes/{number}/finish-rollback")
        return number

    def failed(self, priority: str = "P3", **more: Any) -> str:
        number = self.implementing(priority, **more)
        self.desk("devops").post(f"/changes/{number}/fail", {"reason": "It did not help"})
        return number

    # --- what is looked at -------------------------------------------------------------------

    def state(self, number: str) -> str:
        return str(self.desk("auditor").get(f"/changes/{number}")["state"])

    def items(self, number: str, phase: str) -> list[dict[str, Any]]:
        found = self.desk("auditor").get(f"/changes/{number}/checklist")["items"]
        return [item for item in found if item["phase"] == phase]

    def settle(self, number: str, item: dict[str, Any], state: str, **more: Any) -> None:
        address = f"/changes/{number}/checklist/{item['id']}"
        self.desk("devops").patch(address, {"state": state} | more)

    def events(self, number: str, *actions: str) -> list[tuple[str, str | None, str, Any]]:
        """(action, by whom, when, what it says) of the change's events, oldest first."""
        found = self.desk("auditor").get(f"/audit?change={number}&limit=200")["items"]
        shown = [item for item in found if not actions or item["action"] in actions]
        return [(item["action"], item["actor"], item["at"], item["data"]) for item in shown]

    def page(self, number: str, who: str = "devops", tab: str = "implementation/") -> str:
        """What the change's page says, on one line."""
        client = self.desk(who).client
        client.force_login(self.desk(who).user)
        answer = client.get(f"/changes/{number}/{tab}")
        assert answer.status_code == 200
        return unescape(html_of(answer))

    def press(self, number: str, verb: str, who: str, **values: Any) -> int:
        """The button of that verb; the status of the answer."""
        client = self.desk(who).client
        client.force_login(self.desk(who).user)
        return int(client.post(f"/changes/{number}/act/{verb}", values).status_code)
