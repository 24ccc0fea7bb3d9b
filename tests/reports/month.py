"""October 2026, small and known by heart: golden files and dashboard are counted from it by hand.

| change | what | submitted | started | ended | outcome |
|---|---|---|---|---|---|
| CR-2026-10-01-001 | P2 search | 1 Oct 02:00 | 6 Oct 02:00 | 6 Oct 03:00 | completed |
| CR-2026-10-01-002 | P1 cdn | 1 Oct 02:00 | 8 Oct 02:00 | 8 Oct 02:30 | rolled back |
| CR-2026-10-01-003 | P2 cdn, booked first, then in the way of the P1 | | | | cancelled |
| CR-2026-10-01-004 | P3 build-farm | | | | rejected |
| CR-2026-10-10-001 | P3 monitoring | 10 Oct 02:00 | 13 Oct 02:00 | 13 Oct 02:42 | failed |
| CR-2026-10-19-001 | P0 checkout | 19 Oct 14:00 | 20 Oct 02:00 | 20 Oct 02:50 | completed |

Lead times 5.0, 7.0, 3.0 and 0.5 days: 15.5 / 4 = 3.875. A freeze shuts 6 Oct 12:00 to 8 Oct 00:00,
36 hours of the P1's wait: 1.5 / 4 = 0.375. Implementation 60, 30, 42, 50 minutes: 182 / 4 = 45.5.

| issue | of | link | detected | resolved | minutes |
|---|---|---|---|---|---|
| P2 | the P2 | caused by | 6 Oct 02:20 | 6 Oct 02:50 | 30 |
| P1 | the P1 | caused by | 8 Oct 02:10 | by the rollback, 8 Oct 02:30 | 20 |
| P3 | the P3 | caused by | 13 Oct 02:24 | open | |
| P0 | the P0 | fixed by | 20 Oct 01:00 | 20 Oct 02:20 | 80, in no average |

MTTR (30 + 20) / 2 = 25.0. The open one is 18 d 21 h 36 min old when October ends: 18.9 days.
The P3 was booked for 15 Oct by itself and moved to 13 Oct 16 hours ahead: the one short notice.
The P1 was put beside CR-2026-10-01-003 by the change manager: the one override.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tests.world import Desk

Sit = Callable[[str], Desk]
Move = Callable[[str], None]
P2, P1, IN_THE_WAY, REJECTED = (f"CR-2026-10-01-00{n}" for n in (1, 2, 3, 4))
P3, P0 = "CR-2026-10-10-001", "CR-2026-10-19-001"
STANDARD = (
    ("tech-lead", "technical"),
    ("product-manager", "business"),
    ("eng-manager", "sign_off"),
    ("devops-lead", "sign_off"),
)
NORMAL = (("senior-devops", "technical"), ("devops2", "sign_off"))


# --- roads ------------------------------------------------------------------------------------


def decided(desk: Sit, number: str, road: Iterable[tuple[str, str]] = NORMAL) -> str:
    """Approved by everybody on the road."""
    for who, kind in road:
        desk(who).decide(number, kind)
    return number


def started_emergency(desk: Sit, move: Move, begin: str, **more: Any) -> str:
    """A P0, asked for and authorised at that instant, and running."""
    move(begin)
    number = str(desk("engineer").submit("P0", requested_date=begin[:10], **more)["id"])
    desk("cto").decide(number, "emergency")
    desk("oncall").post(f"/changes/{number}/start")
    return number


def failed_emergency(desk: Sit, move: Move, begin: str, end: str, **more: Any) -> str:
    """The shortest road to a change that counts: a P0 whose implementation ended at `end`."""
    number = started_emergency(desk, move, begin, **more)
    move(end)
    desk("oncall").post(f"/changes/{number}/fail", {"reason": "It did not help"})
    return number


def started(desk: Sit, move: Move, number: str, begin: str, who: str = "devops") -> None:
    """What comes before the window is done, and it runs."""
    desk(who).tick_off(number, "pre")
    move(begin)
    desk(who).post(f"/changes/{number}/start")


def finished(desk: Sit, move: Move, number: str, end: str, who: str = "devops") -> None:
    """The steps are through; the watch begins."""
    desk(who).tick_off(number, "start", "during")
    move(end)
    desk(who).post(f"/changes/{number}/finish")
    desk(who).tick_off(number, "post")


def rolled_back(desk: Sit, move: Move, number: str, begin: str, end: str) -> None:
    move(begin)
    desk("oncall").post(f"/changes/{number}/roll-back", {"reason": "Pictures are missing"})
    desk("devops").tick_off(number, "rollback")
    move(end)
    desk("devops").post(f"/changes/{number}/finish-rollback")


def issue(desk: Sit, number: str, severity: str, summary: str, **more: str) -> None:
    body = {"severity": severity, "summary": summary, **more}
    desk("oncall").post(f"/changes/{number}/issues", body, expect=201)


def reviewed(desk: Sit, number: str, confirmer: str = "", **more: Any) -> None:
    """The review is written by its requester, and confirmed where somebody must."""
    body = {"summary": "Seen together.", "runbook_updated": False, **more}
    desk("engineer").put(f"/changes/{number}/review", body)
    if confirmer:
        justified = {"p0_justified": True} if number == P0 else {}
        desk(confirmer).post(f"/changes/{number}/review/confirmation", justified)


# --- the month --------------------------------------------------------------------------------


def build(desk: Sit, move: Move) -> None:
    """October as the table above has it; afterwards it is the 21st."""
    move("2026-10-01T02:00Z")
    _ask_on_the_first(desk)
    _complete_the_p2(desk, move)
    _roll_back_the_p1(desk, move)
    _fail_the_p3(desk, move)
    _complete_the_p0(desk, move)
    move("2026-10-21T09:00Z")


def _ask_on_the_first(desk: Sit) -> None:
    """Four changes are asked for; a freeze is set, one is refused, one overrides another."""
    engineer, manager = desk("engineer"), desk("change-manager")
    in_between = {"start": "2026-10-08T02:30Z"}
    asked = [
        engineer.submit("P2", requested_window={"start": "2026-10-06T02:00Z"})["id"],
        engineer.submit("P1", components=["cdn"], summary="CDN: new edge")["id"],
        engineer.submit("P2", components=["cdn"], requested_window=in_between)["id"],
        engineer.submit("P3", components=["build-farm"])["id"],
    ]
    assert asked == [P2, P1, IN_THE_WAY, REJECTED]
    for number in (P2, P1, IN_THE_WAY):
        decided(desk, number, STANDARD)
    desk("senior-devops").decide(REJECTED, "technical", "reject", comment="Nobody needs it")
    beside = {"start": "2026-10-08T02:00Z", "override_reason": "They touch different shards"}
    manager.post(f"/changes/{P1}/schedule", beside)
    span = {"starts": "2026-10-06T12:00Z", "ends": "2026-10-08T00:00Z"}
    values = {"name": "the data centre move", "kind": "freeze", **span}
    edits = [{"kind": "closure", "values": values}]
    manager.post("/calendar/rules", {"edits": edits, "reason": "As agreed on Monday"})


def _complete_the_p2(desk: Sit, move: Move) -> None:
    started(desk, move, P2, "2026-10-06T02:00Z")
    finished(desk, move, P2, "2026-10-06T02:30Z")
    move("2026-10-06T03:00Z")
    times = {"detected_at": "2026-10-06T02:20Z", "resolved_at": "2026-10-06T02:50Z"}
    issue(desk, P2, "P2", "Prices were missing in the results", **times)
    desk("devops").post(f"/changes/{P2}/complete")
    told = {
        "lessons": "The index takes four minutes to warm up.",
        "improvements": "The smoke tests now place one order per region.",
    }
    reviewed(desk, P2, **told)


def _roll_back_the_p1(desk: Sit, move: Move) -> None:
    desk("engineer").post(f"/changes/{IN_THE_WAY}/cancel", {"reason": "Not needed any more"})
    started(desk, move, P1, "2026-10-08T02:00Z")
    move("2026-10-08T02:10Z")
    issue(desk, P1, "P1", "Pictures answer 404")
    rolled_back(desk, move, P1, "2026-10-08T02:12Z", "2026-10-08T02:30Z")
    reviewed(desk, P1, "tech-lead", lessons="-DryRun first: it shows what would go.")


def _fail_the_p3(desk: Sit, move: Move) -> None:
    move("2026-10-10T02:00Z")
    today = {"requested_date": "2026-10-10"}
    number = str(desk("engineer").submit("P3", components=["monitoring"], **today)["id"])
    move("2026-10-12T10:00Z")
    assert decided(desk, number) == P3
    sooner = {"start": "2026-10-13T02:00Z", "short_notice_reason": "The disk is full on Wednesday"}
    desk("engineer").post(f"/changes/{P3}/schedule", sooner)
    started(desk, move, P3, "2026-10-13T02:00Z")
    move("2026-10-13T02:24Z")
    issue(desk, P3, "P3", "Alerts arrive twice")
    move("2026-10-13T02:42Z")
    desk("devops").post(f"/changes/{P3}/fail", {"reason": "The new rules do not load"})
    reviewed(desk, P3, "tech-lead")


def _complete_the_p0(desk: Sit, move: Move) -> None:
    move("2026-10-19T14:00Z")
    named = {"summary": "Checkout answers 502", "requested_date": "2026-10-19"}
    desk("engineer").submit("P0", components=["checkout"], **named)
    desk("cto").decide(P0, "emergency")
    move("2026-10-20T02:00Z")
    desk("oncall").post(f"/changes/{P0}/start")
    finished(desk, move, P0, "2026-10-20T02:20Z", "oncall")
    times = {"detected_at": "2026-10-20T01:00Z", "resolved_at": "2026-10-20T02:20Z"}
    issue(desk, P0, "P0", "No orders arrive", link="fixed_by", **times)
    move("2026-10-20T02:50Z")
    desk("oncall").post(f"/changes/{P0}/complete")
    reviewed(desk, P0, "emergency-contact")


# --- the month before -------------------------------------------------------------------------

A, B, C, D = "CR-2026-09-27-001", "CR-2026-09-27-002", "CR-2026-09-30-001", "CR-2026-09-30-002"


def build_september(desk: Sit, move: Move) -> None:
    """Four emergencies at the edges of a week and of a month; D is confidential and October's.

    | change | submitted | started | ended | outcome | issue detected | resolved |
    |---|---|---|---|---|---|---|
    | A | 27th 10:00 | 27th 22:00 | Sun 27th 23:59:59.999999 | failed | 30th 23:50 | 1 Oct 00:10 |
    | B | 27th 12:00 | 27th 23:00 | Mon 28th 00:00 | rolled back | 27th 23:30 | 28th 00:00 |
    | C | 30th 10:00 | 30th 22:00 | 30th 23:59:59.999999 | completed | 30th 22:05 | 22:17 |
    | D | 30th 20:36 | 30th 23:00 | 1 Oct 00:00 | failed | | |

    September: 3, each outcome once; lead times 12, 11 and 12 hours, 35 / 3 / 24 = 0.486 days; MTTR
    (30 + 12) / 2 = 21.0. October has D's 2.4 hours and 60 minutes, and A's issue of 20 minutes.
    """
    oncall = desk("oncall")
    for number, at, more in (
        (A, "2026-09-27T10:00Z", {}),
        (B, "2026-09-27T12:00Z", {"components": ["cdn"]}),
    ):
        _authorised(desk, move, number, at, **more)
    for number, at in ((A, "2026-09-27T22:00Z"), (B, "2026-09-27T23:00Z")):
        move(at)
        oncall.post(f"/changes/{number}/start")
    _end_the_week(desk, move)
    _end_september(desk, move)


def _end_the_week(desk: Sit, move: Move) -> None:
    oncall = desk("oncall")
    move("2026-09-27T23:30Z")
    issue(desk, B, "P0", "Nothing is delivered")
    oncall.post(f"/changes/{B}/roll-back", {"reason": "Worse than before"})
    oncall.tick_off(B, "rollback")
    move("2026-09-27T23:59:59.999999Z")
    oncall.post(f"/changes/{A}/fail", {"reason": "It did not help"})
    move("2026-09-28T00:00Z")
    oncall.post(f"/changes/{B}/finish-rollback")


def _authorised(desk: Sit, move: Move, number: str, at: str, **more: Any) -> None:
    move(at)
    assert desk("engineer").submit("P0", requested_date=at[:10], **more)["id"] == number
    desk("cto").decide(number, "emergency")


def _end_september(desk: Sit, move: Move) -> None:
    oncall = desk("oncall")
    _authorised(desk, move, C, "2026-09-30T10:00Z", components=["monitoring"])
    secret = {"confidential": True, "implementer": "oncall"}
    _authorised(desk, move, D, "2026-09-30T20:36Z", components=["build-farm"], **secret)
    move("2026-09-30T22:00Z")
    oncall.post(f"/changes/{C}/start")
    move("2026-09-30T22:17Z")
    times = {"detected_at": "2026-09-30T22:05Z", "resolved_at": "2026-09-30T22:17Z"}
    issue(desk, C, "P2", "No alerts", **times)
    finished(desk, move, C, "2026-09-30T22:30Z", "oncall")
    move("2026-09-30T23:00Z")
    oncall.post(f"/changes/{D}/start")
    move("2026-09-30T23:50Z")
    issue(desk, A, "P2", "Orders are slow")
    move("2026-09-30T23:59:59.999999Z")
    oncall.post(f"/changes/{C}/complete")
    move("2026-10-01T00:00Z")
    oncall.post(f"/changes/{D}/fail", {"reason": "It did not help"})
    move("2026-10-01T00:10Z")
    oncall.patch(f"/changes/{A}/issues/1", {"resolved_at": "2026-10-01T00:10Z"})
