"""The table of acts that two people share (A37): every act that judges a change × every hand in it
× every door, in both orders.

One person holds every role that there is, so that nothing but the acts keeps them apart. What is
refused leaves no event and moves nobody. Complete by construction: `apart.JUDGING` and `apart.RAN`
name the acts, and the last test fails for one that is not in these tables.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.models import ApiToken
from audit.models import Event
from requests import apart
from requests.models import ChangeRequest
from tests.implementation.road import SLOT, tried
from tests.implementation.run.test_apart import approved, both, sign, taken
from tests.world import Desk
from windows.models import MaintenanceWindow

__all__ = ["both"]
pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]
Door = Callable[[str, dict[str, Any], str], int]
FREEZE = "2026-11-17T02:00Z"


# --- doors: each takes an API path below the change, its body, and the page's verb; and answers wit


def by_api(both: Desk, number: str) -> Door:
    def go(path: str, body: dict[str, Any], verb: str) -> int:
        both.call("PATCH" if not path else "POST", f"/changes/{number}{path}", body)
        return int(both.status)

    return go


def by_page(both: Desk, number: str) -> Door:
    client = Client()
    client.force_login(both.user)

    def go(path: str, body: dict[str, Any], verb: str) -> int:
        return int(
            client.post(
                f"/changes/{number}/{verb}", {name: str(value) for name, value in body.items()}
            ).status_code
        )

    return go


def by_token(both: Desk, number: str) -> Door:
    _, secret = ApiToken.make(user=both.user, name=f"t {number}", scope="write")

    def go(path: str, body: dict[str, Any], verb: str) -> int:
        both.call(
            "PATCH" if not path else "POST",
            f"/changes/{number}{path}",
            body,
            Authorization=f"Bearer {secret}",
        )
        return int(both.status)

    return go


DOORS = {"api": by_api, "page": by_page, "token": by_token}


# --- acts that judge: each leaves a change of somebody else's that `both` has judged --------------


def overridden(desk: Sit, both: Desk) -> str:
    number = approved(desk)
    taken(desk)
    both.post(f"/changes/{number}/schedule", {"start": SLOT, "override_reason": "Both may go on"})
    return number


def granted(desk: Sit, both: Desk) -> str:
    number = approved(desk)
    desk("engineer").post(
        f"/changes/{number}/freeze-exception/ask", {"slot_start": FREEZE, "reason": "The sale"}
    )
    both.post(f"/changes/{number}/freeze-exception", {"slot_start": FREEZE, "reason": "The sale"})
    desk("devops").post(f"/changes/{number}/schedule", {"start": SLOT})
    return number


def lowered(desk: Sit, both: Desk) -> str:
    number = str(desk("engineer").submit("P2", requested_window={"start": SLOT})["id"])
    client = Client()
    client.force_login(both.user)
    assert (
        client.post(
            f"/changes/{number}/act/assess", {"level": "low", "reason": "Done often"}
        ).status_code
        == 302
    )
    sign(desk, number)
    return number


def opened(desk: Sit, both: Desk) -> str:
    """Its slot lies in an opening that `both` confirmed."""
    number = approved(desk)
    made_by = desk("change-manager").user
    MaintenanceWindow.objects.create(
        name="Opening",
        begins="2026-10-05T02:00Z",
        minutes=300,
        made_by=made_by,
        confirmed_by=both.user,
    )
    desk("devops").post(f"/changes/{number}/schedule", {"start": "2026-10-05T02:00Z"})
    return number


JUDGED = {
    "overrode a conflict": (overridden, SLOT), "granted its exception": (granted, SLOT),
    "lowered its risk": (lowered, SLOT),
    "made its opening": (opened, "2026-10-05T02:00Z"),
}  # fmt: skip
#: hand → (API path, body, page's verb); `{version}` is filled in
HANDS: dict[str, tuple[str, dict[str, Any], str]] = {
    "edits": ("", {"version": 1, "reason": "Better said"}, "edit"),
    "starts": ("/start", {}, "act/start"),
    "takes over": ("/take-over", {"reason": "I can"}, "act/take-over"),
}


def moved(number: str, both: Desk) -> tuple[Any, ...]:
    """What may not change: whose it is, who runs it, what it says, and what this person has done to
    it.
    """
    change = ChangeRequest.objects.get(number=number)
    acts = (
        Event.objects.filter(change_id=change.pk, actor=both.user)
        .exclude(action="access.refused")
        .count()
    )
    return (
        change.requester_id,
        change.implementer_id,
        change.reason,
        change.state,
        change.authors.filter(user=both.user).exists(),
        acts,
    )


@pytest.mark.parametrize("judged", JUDGED)
def test_whoever_judged_has_no_hand_in_it_afterwards(
    desk: Sit, both: Desk, at: Any, judged: str
) -> None:
    """A27, A37, X20: editing, starting, taking over, becoming its requester or its implementer; by
    API, page and token.
    """
    make, slot = JUDGED[judged]
    number = make(desk, both)
    desk("devops").tick_off(number, "pre")
    at(slot)
    wrong, before = [], moved(number, both)
    for hand, (path, body, verb) in HANDS.items():
        body = body | (
            {"version": both.get(f"/changes/{number}")["version"]} if "version" in body else {}
        )
        for name, door in DOORS.items():
            with tried():
                status = door(both, number)(path, body, verb)
                # The form answers a change that is not one's to edit by sending back to its page,
                # with the reason.
                if status < 400 and not (
                    hand == "edits" and name == "page" and moved(number, both) == before
                ):
                    wrong.append(f"{hand} by {name}: {status}")
                if moved(number, both) != before:
                    wrong.append(f"{hand} by {name} moved it")
    for field, path, body in (
        ("requester", "/transfer", {"requester": "both"}),
        ("implementer", "", {"version": 0, "implementer": "both"}),
    ):
        body = body | (
            {"version": both.get(f"/changes/{number}")["version"]} if "version" in body else {}
        )
        with tried():
            answer = desk("engineer").call(
                "POST" if path else "PATCH", f"/changes/{number}{path}", body
            )
            if desk("engineer").status != 422 or moved(number, both) != before:
                wrong.append(f"named {field}: {desk('engineer').status} {answer}")
    assert wrong == []
    assert desk("devops").post(f"/changes/{number}/start")["state"] == "implementing"


# --- the other order: whoever has a hand in it judges nothing of it -------------------------------


def requested(desk: Sit, both: Desk) -> str:
    return str(both.submit("P2")["id"])


def edited(desk: Sit, both: Desk) -> str:
    number = str(desk("engineer").submit("P2")["id"])
    both.patch(f"/changes/{number}", {"version": 1, "reason": "Better said"})
    return number


def named(desk: Sit, both: Desk) -> str:
    return str(desk("engineer").submit("P2", implementer="both")["id"])


def ran(desk: Sit, both: Desk) -> str:
    """`both` took it over and gave it back."""
    number = str(desk("engineer").submit("P2", implementer="devops")["id"])
    sign(desk, number)
    both.post(f"/changes/{number}/take-over", {"reason": "For a moment"})
    desk("devops").post(f"/changes/{number}/take-over", {"reason": "Back again"})
    return number


HANDED = {"requested": requested, "edited": edited, "is named": named, "took it over": ran}


@pytest.mark.parametrize("hand", HANDED)
def test_whoever_has_a_hand_in_it_judges_nothing_of_it(
    desk: Sit, both: Desk, at: Any, hand: str
) -> None:
    """A27, A37, X24: overriding, granting, lowering the risk, accepting a check, confirming the
    review; by API, page and token.
    """
    number = HANDED[hand](desk, both)
    wrong: list[str] = []

    def try_all(
        what: str,
        path: str,
        body: dict[str, Any],
        verb: str,
        doors: tuple[str, ...] = ("api", "page", "token"),
    ) -> None:
        before = moved(number, both)
        for name in doors:
            with tried():
                status = DOORS[name](both, number)(path, body, verb)
                judged = Event.objects.filter(
                    actor=both.user,
                    action__in=[*apart.JUDGING, "approval.assess"],
                    change_id__isnull=False,
                )
                if (
                    status < 400
                    or moved(number, both) != before
                    or judged.filter(change_id=ChangeRequest.objects.get(number=number).pk).exists()
                ):
                    wrong.append(f"{what} by {name}: {status}")

    if hand != "took it over":
        try_all(
            "lowering",
            "/nowhere",
            {"level": "low", "reason": "Done often"},
            "act/assess",
            ("page",),
        )
        sign(desk, number)
    try_all(
        "granting",
        "/freeze-exception",
        {"slot_start": FREEZE, "reason": "The sale"},
        "act/grant-exception",
    )
    taken(desk)
    try_all(
        "overriding",
        "/schedule",
        {"start": SLOT, "override_reason": "Both may go on"},
        "act/schedule",
    )
    booked = desk("change-manager").post(
        f"/changes/{number}/schedule", {"start": SLOT, "override_reason": "Other shards"}
    )
    assert booked["state"] == "scheduled"
    runner = "both" if hand == "is named" else "devops"
    at(SLOT)
    sit = both if runner == "both" else desk(runner)
    sit.tick_off(number, "pre")
    sit.post(f"/changes/{number}/start")
    check = desk("devops2").post(
        f"/changes/{number}/checks", {"name": "smoke", "kind": "smoke", "passed": False}, expect=201
    )["id"]
    try_all(
        "accepting",
        f"/checks/{check}/acceptance",
        {"reason": "It is known", "check": check},
        "act/accept-check",
    )
    sit.post(f"/changes/{number}/fail", {"reason": "No use"})
    desk("change-manager").put(
        f"/changes/{number}/review", {"summary": "It failed", "runbook_updated": False}
    )
    try_all("confirming", "/review/confirmation", {}, "act/confirm")
    assert wrong == []
    desk("tech-lead").post(f"/changes/{number}/review/confirmation")


def test_every_act_stands_in_these_tables() -> None:
    """A new act that judges or runs is put beside the others here, or this fails."""
    tried_here = {
        "change.schedule",
        "change.reschedule",
        "change.freeze_exception",
        "implementation.check_accept",
        "implementation.review_confirm",
    }
    assert set(apart.JUDGING) == tried_here
    assert {action.removeprefix("change.") for action in apart.RAN} == {
        "start", "take_over", "finish", "complete", "roll_back", "finish_rollback", "fail",
    }  # fmt: skip
