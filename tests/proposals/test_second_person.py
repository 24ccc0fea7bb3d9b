"""Two people to widen: who may confirm or decline, once, through every door (A27)."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from accounts.models import ApiToken, User
from approvals.models import PolicyDraft
from audit.models import Event
from notifications.models import Message
from proposals.models import Proposal
from tests.approvals.policy_editor.test_policy_editor import Editor
from tests.implementation.road import EVERYBODY, told, tried, why
from tests.windows.rules.test_rules import edit, opening, rules, save
from tests.world import Desk, html_of

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]
ASKED = "2026-10-01T09:00:00Z"


@pytest.fixture(autouse=True)
def october(at: Any) -> None:
    at(ASKED)


def person(username: str, *roles: str, superuser: bool = False) -> str:
    made = User.objects.create_user(username, email=f"{username}@example.com")
    made.is_superuser = superuser
    made.save()
    made.groups.set(Group.objects.filter(name__in=roles))
    return username


def proposed(desk: Sit, kind: str = "calendar") -> int:
    """What the change manager wants to widen: an hour more on Tuesdays, or who signs off."""
    if kind == "calendar":
        return int(save(desk, edit(desk, "Primary", minutes=180))["proposal"])
    editor = Editor("Engineers sign off P3")
    editor.save("P3-2-0", roles=["engineer", "devops-engineer"])
    editor.publish()
    return int(Proposal.objects.latest("id").pk)


def answers(desk: Sit, key: int, verb: str, who: str, door: str) -> int:
    """The status of one answer by one person through one door."""
    if door == "api":
        body = {"reason": "Because"} if verb == "decline" else {}
        desk(who).call("POST", f"/proposals/{key}/{verb}", body)
        return int(desk(who).status)
    client = desk(who).client
    client.force_login(desk(who).user)
    form = {"verb": verb, "reason": "Because"}
    return int(client.post(f"/settings/proposals/{key}/answer", form).status_code)


def page(desk: Sit, who: str) -> str:
    client = desk(who).client
    client.force_login(desk(who).user)
    answer = client.get("/settings/proposals/")
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", unescape(html_of(answer)))


# --- who may ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["calendar", "policy"])
@pytest.mark.parametrize("verb", ["confirm", "decline"])
@pytest.mark.parametrize(("door", "done"), [("api", 200), ("page", 302)])
def test_another_change_manager_devops_lead_or_cto_is_the_second_person(
    desk: Sit,
    kind: str,
    verb: str,
    door: str,
    done: int,
) -> None:
    """A27: by table of the demo users, and a second change manager; whoever proposed it is not."""
    person("second-manager", "change-manager")
    person("root", superuser=True)
    person("reader", "cto", "auditor")
    key, may = proposed(desk, kind), set()
    for who in [*EVERYBODY, "second-manager", "root", "reader"]:
        with tried():
            status = answers(desk, key, verb, who, door)
            assert status in (done, 403), who
            may |= {who} if status == done else set()
    assert may == {"second-manager", "devops-lead", "cto"}


@pytest.mark.parametrize("door", ["api", "page"])
@pytest.mark.parametrize("verb", ["confirm", "decline"])
def test_whoever_proposed_it_is_never_the_second_person(desk: Sit, verb: str, door: str) -> None:
    """A27: not with every role that could, nor as superuser."""
    author = User.objects.get(username="change-manager")
    author.groups.add(*Group.objects.filter(name__in=["cto", "devops-lead"]))
    User.objects.filter(pk=author.pk).update(is_superuser=True)
    key = proposed(desk)
    desk("change-manager").user = User.objects.get(pk=author.pk)
    assert answers(desk, key, verb, "change-manager", door) == 403
    refusal = desk("change-manager").post(f"/proposals/{key}/confirm", expect=403)
    assert why(refusal, "message") == [
        ("own_change", "You proposed it; it takes somebody else to confirm it."),
    ]
    assert Proposal.objects.get().state == "open"
    assert rules(desk)["Primary"]["minutes"] == 120


def test_whoever_is_refused_is_told_who_may_and_the_trail_keeps_it(desk: Sit) -> None:
    """Promise 4 and 8."""
    key = proposed(desk)
    refusal = desk("engineer").post(f"/proposals/{key}/confirm", expect=403)
    assert refusal["detail"] == "A second person confirms this: Change manager, DevOps lead or CTO."
    assert [e.actor.username for e in Event.objects.filter(action="access.refused")] == ["engineer"]


def test_a_role_that_was_taken_away_confirms_nothing(desk: Sit) -> None:
    """A27, A26: what counts is who holds the role now."""
    key = proposed(desk)
    User.objects.get(username="cto").groups.set(Group.objects.filter(name="engineer"))
    desk("cto").user = User.objects.get(username="cto")
    desk("cto").post(f"/proposals/{key}/confirm", expect=403)


def test_a_token_is_nobodys_second_person(desk: Sit) -> None:
    """contract.md: confirmations need a session; a token lists what waits."""
    key = proposed(desk)
    _, secret = ApiToken.make(user=User.objects.get(username="cto"), name="t", scope="write")
    client = Client(headers={"Authorization": f"Bearer {secret}"})
    for verb in ("confirm", "decline"):
        address, body = f"/api/v1/proposals/{key}/{verb}", {"reason": "Because"}
        answer = client.post(address, body, content_type="application/json")
        assert (answer.status_code, answer.json()["code"]) == (403, "session_needed")
    listed = client.get("/api/v1/proposals").json()["items"]
    assert [item["id"] for item in listed] == [key]


# --- what waits ----------------------------------------------------------------------------------


def test_everybody_reads_what_waits_for_its_second_person(desk: Sit, at: Any) -> None:
    """A27, contract.md: what, why, by whom and since when, the oldest first."""
    first = proposed(desk)
    at("2026-10-01T10:30:00Z")
    move = opening("Catalogue move", "2026-10-10T08:00")
    second = save(desk, move, reason="It is long")["proposal"]
    for who in ("engineer", "auditor", "manager", "cto"):
        items = desk(who).get("/proposals")["items"]
        assert [(item["id"], item["at"]) for item in items] == [
            (first, ASKED),
            (second, "2026-10-01T10:30:00Z"),
        ]
    assert items[1] == {
        "id": second,
        "kind": "calendar",
        "subject": "Calendar: Catalogue move",
        "reason": "It is long",
        "widens": ["P1, P2, P3 may start in Catalogue move: Sat 10 Oct, 08:00 to 10:00 UTC 2026."],
        "state": "open",
        "by": "change-manager",
        "at": "2026-10-01T10:30:00Z",
        "answered_by": None,
        "answered_at": None,
        "answer": None,
    }


def test_whoever_could_be_the_second_person_is_told_and_its_author_is_not(desk: Sit) -> None:
    """A27: CTO, DevOps lead and another change manager, with what it would allow."""
    person("second-manager", "change-manager")
    proposed(desk)
    assert told("proposal") == ["cto", "devops-lead", "second-manager"]
    message = Message.objects.filter(kind="proposal").latest("id")
    assert message.subject == "Noor Rahman asks for a second person: Calendar: Primary"
    assert "Why: As agreed on Monday" in message.body
    assert "It would allow more:\n- It opens Tue 6 Oct, 04:00 to 05:00 UTC 2026" in message.body
    assert f"/settings/proposals/#proposal-{Proposal.objects.get().pk}" in message.body


# --- confirmed, declined, withdrawn ---------------------------------------------------------------


def events() -> list[tuple[str, str | None, dict[str, Any]]]:
    """(action, by whom, what it says) of the proposals' events."""
    found = Event.objects.filter(action__startswith="proposal.").order_by("id")
    return [(event.action, event.actor and event.actor.username, event.said) for event in found]


def test_a_confirmation_is_in_effect_and_in_the_trail(desk: Sit, at: Any) -> None:
    """A27, R148: answered by whom and when; the rule names both; its author is told."""
    key = proposed(desk)
    widens = Proposal.objects.get().widens
    at("2026-10-01T11:15:00Z")
    desk("devops-lead").post(f"/proposals/{key}/confirm")
    assert rules(desk)["Primary"]["minutes"] == 180
    said = {"proposal": key, "kind": "calendar"}
    created = said | {"subject": "Calendar: Primary", "widens": widens}
    assert events() == [
        ("proposal.create", "change-manager", created),
        ("proposal.confirm", "devops-lead", said | {"reason": ""}),
    ]
    edited = Event.objects.get(action="calendar.edit")
    assert (edited.actor.username, edited.data["confirmed_by"]) == ("change-manager", "devops-lead")
    assert told("proposal_answered") == ["change-manager"]
    message = Message.objects.get(kind="proposal_answered")
    assert message.subject == "Priya Nair confirmed: Calendar: Primary"


def test_a_confirmation_answers_with_who_and_when(desk: Sit, at: Any) -> None:
    """contract.md: the proposal as it now is."""
    key = proposed(desk)
    before = desk("cto").get("/proposals")["items"][0]
    at("2026-10-01T11:15:00Z")
    assert desk("devops-lead").post(f"/proposals/{key}/confirm") == before | {
        "state": "confirmed",
        "answered_by": "devops-lead",
        "answered_at": "2026-10-01T11:15:00Z",
    }


@pytest.mark.parametrize("verb", ["confirm", "decline"])
def test_the_second_answer_is_told_who_was_first(desk: Sit, at: Any, verb: str) -> None:
    """A27, promise 3: confirmed once; nothing else is recorded, whoever presses and whatever."""
    key = proposed(desk)
    at("2026-10-01T11:15:00Z")
    desk("cto").post(f"/proposals/{key}/{verb}", {"reason": "Because"} if verb == "decline" else {})
    before, word = events(), "confirmed" if verb == "confirm" else "declined"
    for who in ("devops-lead", "cto"):
        for again in ("confirm", "decline"):
            body = {"reason": "Because"} if again == "decline" else {}
            refusal = desk(who).post(f"/proposals/{key}/{again}", body, expect=409)
            first = f"Helen Park was first: {word} at 11:15 UTC. Nothing else was recorded."
            assert why(refusal, "message") == [("settled", first)]
            assert answers(desk, key, again, who, "page") == 409
    assert events() == before
    assert rules(desk)["Primary"]["minutes"] == (180 if verb == "confirm" else 120)
    assert desk("cto").get("/proposals")["items"] == []


def test_a_decline_says_why_and_changes_nothing(desk: Sit) -> None:
    """A27: its author reads the reason; it can be proposed again."""
    key = proposed(desk)
    found = desk("cto").post(f"/proposals/{key}/decline", {"reason": "Two hours are enough"})
    assert (found["state"], found["answered_by"]) == ("declined", "cto")
    assert found["answer"] == "Two hours are enough"
    assert rules(desk)["Primary"]["minutes"] == 120
    said = {"proposal": key, "kind": "calendar", "reason": "Two hours are enough"}
    assert events()[1:] == [("proposal.decline", "cto", said)]
    message = Message.objects.get(kind="proposal_answered")
    assert (message.recipient.username, message.subject) == (
        "change-manager",
        "Helen Park declined: Calendar: Primary",
    )
    assert message.body.startswith("Two hours are enough")
    assert proposed(desk) != key


@pytest.mark.parametrize("reason", [{}, {"reason": ""}, {"reason": " \n"}])
def test_a_decline_without_a_reason_is_refused(desk: Sit, reason: dict[str, str]) -> None:
    """A27: 422 at its field, by API and by form; it still waits."""
    key = proposed(desk)
    refusal = desk("cto").post(f"/proposals/{key}/decline", reason, expect=422)
    assert [error["field"] for error in refusal["errors"]] == ["reason"]
    client = desk("cto").client
    answer = client.post(f"/settings/proposals/{key}/answer", {"verb": "decline", **reason})
    assert answer.status_code == 422
    assert "say why you decline" in html_of(answer)
    assert Proposal.objects.get().state == "open"
    assert len(events()) == 1


def test_its_author_alone_withdraws_it(desk: Sit) -> None:
    """A27: by table of the demo users; nothing is in effect, and nobody confirms it any more."""
    key, may = proposed(desk), set()
    for who in EVERYBODY:
        with tried():
            may |= {who} if answers(desk, key, "withdraw", who, "page") == 302 else set()
    assert may == {"change-manager"}
    answers(desk, key, "withdraw", "change-manager", "page")
    said = {"proposal": key, "kind": "calendar", "reason": ""}
    assert events()[1:] == [("proposal.withdraw", "change-manager", said)]
    desk("cto").post(f"/proposals/{key}/confirm", expect=409)
    assert rules(desk)["Primary"]["minutes"] == 120


def test_what_is_not_there_cannot_be_answered(desk: Sit) -> None:
    """contract.md: 404, and what is no verb is none."""
    key = proposed(desk)
    for verb in ("confirm", "decline"):
        assert answers(desk, key + 1, verb, "cto", "api") == 404
        assert answers(desk, key + 1, verb, "cto", "page") == 404
    assert answers(desk, key, "dance", "cto", "page") == 422
    assert Proposal.objects.get().state == "open"


# --- the page -------------------------------------------------------------------------------------


def buttons(shown: str) -> list[str]:
    return re.findall(r'name="verb" value="(\w+)"', shown)


def test_the_page_offers_to_each_person_what_they_may(desk: Sit) -> None:
    """A27, promise 8: two buttons for a second person, one for its author, none for others."""
    proposed(desk)
    offered = {who: buttons(page(desk, who)) for who in EVERYBODY}
    second = ["confirm", "decline"]
    expected = {"cto": second, "devops-lead": second, "change-manager": ["withdraw"]}
    assert offered == {who: expected.get(who, []) for who in EVERYBODY}
    for who in EVERYBODY:
        assert "Calendar: Primary" in page(desk, who)
    more = "It would allow more</h3> <ul><li>It opens Tue 6 Oct, 04:00 to 05:00"
    assert more in page(desk, "cto")


def test_the_page_says_who_answered_and_how(desk: Sit) -> None:
    """A27, R148: confirmed, declined with its reason, and withdrawn."""
    given = (("decline", "cto"), ("withdraw", "change-manager"), ("confirm", "devops-lead"))
    for verb, who in given:
        assert answers(desk, proposed(desk), verb, who, "page") == 302
    shown = page(desk, "auditor")
    assert "Nothing waits for a second person" in shown
    rows = re.findall(r'<tr id="proposal-\d+">.*?</tr>', shown)
    said = [re.search(r'data-label="By">(.*?)</td> <td>(.*?)</td>', row) for row in rows]
    assert [found.groups() for found in said if found] == [
        ("Noor Rahman", "Confirmed by Priya Nair"),
        ("Noor Rahman", "Withdrawn"),
        ("Noor Rahman", 'Declined by Helen Park<br><span class="muted small">“Because”</span>'),
    ]


def test_a_declined_policy_is_a_draft_again(desk: Sit) -> None:
    """A27: it goes back to its author, to be edited and published once more."""
    key = proposed(desk, "policy")
    draft = Proposal.objects.get().payload["draft"]
    shown = page(desk, "cto")
    assert f"/settings/policy/drafts/{draft}/" in shown
    desk("cto").post(f"/proposals/{key}/decline", {"reason": "Not before Christmas"})
    assert PolicyDraft.objects.get(pk=draft).state == "editing"
