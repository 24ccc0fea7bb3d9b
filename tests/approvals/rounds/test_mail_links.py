"""The card of one step, from the queue and by the link in a mail, which decides nothing by being
opened (issue 3 items 6 and 7).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from approvals.models import Decision, Step
from approvals.people import delegations
from approvals.rounds.mail_links import path_for
from audit.models import Event
from notifications.models import Message
from tests.world import TICKS, Desk, html_of

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]


def browser(username: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(username=username))
    return client


def link_for(username: str, number: str, kind: str = "approval_waiting") -> str:
    """The address in that person's latest mail about the change."""
    mail = Message.objects.filter(
        kind=kind, recipient__username=username, body__contains=number
    ).latest("id")
    return re.findall(r"/approvals/mail/\S+", mail.body)[0]


def form(
    number: str, verdict: str = "approve", kind: str = "technical", version: int = 1, **more: str
) -> dict[str, str]:
    return {
        "verdict": verdict,
        "version": str(version),
        **{f"tick_{key}": "on" for key in TICKS[kind]},
        **more,
    }


def state(number: str, kind: str = "technical") -> str:
    return str(Step.objects.filter(change__number=number, kind=kind).latest("round").state)


def test_only_the_button_decides(desk: Sit, at: Any) -> None:
    """A scanner that follows the link, signed in or not, by GET or HEAD, however often, changes
    nothing; the POST of its person does, once.
    """
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P2")["id"])
    link = link_for("tech-lead", number)
    scanner, before = Client(), Event.objects.count()
    for method in (scanner.get, scanner.head, scanner.post, scanner.get):
        answer = method(link)
        assert answer.status_code == 302
        assert answer["Location"].startswith("/accounts/login/?next=/approvals/mail/")
    lead = browser("tech-lead")
    for _ in range(3):
        page = lead.get(link)
        assert page.status_code == 200
        assert lead.head(link).status_code == 200
    assert "Approving settles this review; the business approval still waits." in html_of(page)
    assert (Event.objects.count(), Decision.objects.count()) == (before, 0)
    assert lead.post(link, form(number)).status_code == 302
    assert state(number) == "approved"
    for method in (lead.get, lambda address: lead.post(address, form(number))):
        again = method(link)
        assert again.status_code == 409
        assert "was first and approved this step" in html_of(again)
    assert Decision.objects.count() == 1


def test_it_is_bound_to_its_person(desk: Sit, at: Any) -> None:
    """Whoever else opens it is refused, and that is recorded; it lends no rights: roles are asked
    for at the click.
    """
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P2")["id"])
    link = link_for("tech-lead", number)
    for name in ("senior-devops", "engineer", "admin", "cto"):
        assert browser(name).get(link).status_code == 403
        assert browser(name).post(link, form(number)).status_code == 403
    assert Event.objects.filter(action="access.refused").count() == 8
    step = Step.objects.get(change__number=number, kind="technical")
    own = path_for(step)(User.objects.get(username="engineer"))
    assert browser("engineer").post(own, form(number)).status_code == 403, (
        "the requester, by a link that was never sent"
    )
    User.objects.get(username="tech-lead").groups.clear()
    assert browser("tech-lead").post(link, form(number)).status_code == 403
    User.objects.filter(username="tech-lead").update(is_active=False)
    assert Client().post(link, form(number)).status_code == 302
    assert state(number) == "open"


def test_it_is_dead_after_an_edit_and_after_two_days(desk: Sit, at: Any) -> None:
    """Bound to the content's hash: an edit kills it, also one that is undone; it lives 48 hours; a
    reminder brings a fresh one.
    """
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P2")["id"])
    link, lead = link_for("tech-lead", number), browser("tech-lead")
    summary = desk("engineer").get(f"/changes/{number}")["summary"]
    desk("engineer").patch(f"/changes/{number}", {"version": 1, "summary": "Another"})
    assert "was edited after this mail" in html_of(lead.get(link))
    assert lead.post(link, form(number, version=2)).status_code == 409
    desk("engineer").patch(f"/changes/{number}", {"version": 2, "summary": summary})
    assert lead.post(link, form(number, version=3)).status_code == 409, (
        "the same words, but another round"
    )
    fresh = link_for("tech-lead", number)
    assert lead.get(fresh).status_code == 200
    at("2026-10-03T09:00:01Z")
    lead = browser("tech-lead")
    assert "has expired" in html_of(lead.get(fresh))
    assert lead.post(fresh, form(number, version=3)).status_code == 409
    from changemgmt.tick import tick

    tick()
    assert (
        lead.post(
            link_for("tech-lead", number, "approval_reminder"), form(number, version=3)
        ).status_code
        == 302
    )
    assert state(number) == "approved"


@pytest.mark.parametrize("change", ["x", "", "a:b:c"])
def test_what_we_never_wrote_is_absent(desk: Sit, at: Any, change: str) -> None:
    """Forged, cut short, or signed for another purpose: the same answer."""
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P2")["id"])
    link = link_for("tech-lead", number)
    lead = browser("tech-lead")
    for address in (
        f"/approvals/mail/{change or 'z'}/",
        link[:-5] + "/",
        link.replace("/mail/", "/mail/x"),
        link.swapcase().replace("/APPROVALS/MAIL", "/approvals/mail"),
    ):
        assert lead.get(address).status_code == 404, address
    assert lead.get("/approvals/999999/").status_code == 404


def test_a_refusal_keeps_what_was_typed(desk: Sit, at: Any) -> None:
    """A comment that is missing, an item not ticked: the card comes back with the error at its
    field and all that was typed.
    """
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P2")["id"])
    lead, link = browser("tech-lead"), link_for("tech-lead", number)
    page = lead.post(link, form(number, "reject"))
    assert page.status_code == 422
    assert "to reject, say why" in html_of(page)
    typed = {
        key: value
        for key, value in form(number, comment="Looks <b>good</b>").items()
        if key != "tick_T3"
    }
    page = lead.post(link, typed)
    html = html_of(page)
    assert page.status_code == 422
    assert "Looks &lt;b&gt;good&lt;/b&gt;" in html
    assert html.count("checked") == 5
    assert (
        lead.post(link, form(number, "reject", comment="Not before Black Friday")).status_code
        == 302
    )
    assert desk("engineer").get(f"/changes/{number}")["state"] == "rejected"


def test_a_delegate_decides_by_their_own_link(desk: Sit, at: Any) -> None:
    """“B for A”: the mail that goes to the delegate works for the delegate, until the delegation
    ends.
    """
    at("2026-10-01T09:00Z")
    giver = User.objects.get(username="product-manager")
    made = delegations.delegate(
        actor=giver,
        receiver="security",
        starts_at=timezone.now(),
        ends_at=timezone.now() + timedelta(days=5),
    )
    first, second = (str(desk("engineer").submit("P2")["id"]) for _ in range(2))
    security = browser("security")
    assert "Business approval for Lena Vogt" in html_of(security.get(link_for("security", first)))
    assert (
        security.post(link_for("security", first), form(first, kind="business")).status_code == 302
    )
    assert Decision.objects.get().on_behalf_of == giver
    delegations.revoke(actor=giver, delegation=made)
    assert (
        browser("security")
        .post(link_for("security", second), form(second, kind="business"))
        .status_code
        == 403
    )


def test_from_the_queue_card_by_card(desk: Sit, at: Any) -> None:
    """An approver on a phone: one card after another, what each needs on it; the same statements
    for one and for many waiting.
    """
    at("2026-10-01T09:00Z")
    numbers = [
        str(
            desk("engineer").submit(
                "P2", requested_date="2026-10-05", requested_window={"start": "2026-10-06T02:00Z"}
            )["id"]
        )
    ]
    lead = browser("tech-lead")

    def count(number: str) -> int:
        key = Step.objects.get(change__number=number, kind="technical", state="open").pk
        with CaptureQueriesContext(connection) as queries:
            assert lead.get(f"/approvals/{key}/").status_code == 200
        return len(queries)

    count(numbers[0])
    few = count(numbers[0])
    numbers += [str(desk("engineer").submit("P2")["id"]) for _ in range(12)]
    assert count(numbers[0]) == few <= 20
    queue = html_of(lead.get("/approvals/"))
    first = re.findall(r'act" href="(/approvals/\d+/)"', queue)[0]
    html = html_of(lead.get(first))
    for words in (
        "Deploy search 3.2",
        "Tested: Redeployed 3.1 over 3.2",
        "in the last year",
        "Tue 6 Oct",
        "13 wait for you",
        "T6",
    ):
        assert words in html, words
    answer = lead.post(first, form(numbers[0]))
    second = answer["Location"]
    assert re.fullmatch(r"/approvals/\d+/", second)
    assert second != first
    assert numbers[1] in html_of(lead.get(second))
    assert "Nothing to decide here" in html_of(lead.get(first))
    assert browser("manager").get(first).status_code == 403
    engineer = Step.objects.get(change__number=numbers[5], kind="technical").pk
    assert browser("engineer").get(f"/approvals/{engineer}/").status_code == 403
    secret = Step.objects.get(
        change__number=str(desk("security").submit("P2", confidential=True)["id"]), kind="technical"
    )
    assert [
        browser(name).get(f"/approvals/{secret.pk}/").status_code
        for name in ("tech-lead", "engineer")
    ] == [200, 404]


def test_the_card_shows_what_changed_since_my_verdict_and_since_the_last_approval(
    desk: Sit, at: Any
) -> None:
    """Issue 3 item 6: two diffs, each against what that person, or everybody, said yes to."""
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P3")["id"])
    desk("tech-lead").decide(number, "technical")
    desk("devops").decide(number, "sign_off")
    desk("engineer").patch(f"/changes/{number}", {"version": 1, "testing_plan": "Look twice."})
    key = Step.objects.get(change__number=number, kind="technical", state="open").pk
    mine, others = (
        html_of(browser(name).get(f"/approvals/{key}/")) for name in ("tech-lead", "senior-devops")
    )
    assert "Since you approved round 1" in mine
    assert "Since it was approved last" not in mine, "it is the same difference, said once"
    assert "Since you" not in others
    assert "Since it was approved last" in others
    assert "twice" in mine
    assert "twice" in others


def test_a_comment_decides_nothing_and_keeps_what_was_ticked(desk: Sit, at: Any) -> None:
    """Issue 3 item 6: comment without deciding: the card comes back with the ticks; an empty one is
    said at its field.
    """
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P2")["id"])
    key, lead = Step.objects.get(change__number=number, kind="technical").pk, browser("tech-lead")
    page = lead.post(
        f"/approvals/{key}/",
        {"verdict": "comment", "version": "1", "tick_T1": "on", "comment": "Which pool first?"},
    )
    html = html_of(page)
    assert (page.status_code, html.count("checked")) == (200, 1)
    assert "nothing is decided yet" in html
    assert not Decision.objects.exists()
    assert Message.objects.get(kind="comment", recipient__username="engineer").body.startswith(
        "Which pool first?"
    )
    empty = lead.post(
        f"/approvals/{key}/",
        {"verdict": "comment", "version": "1", "tick_T1": "on", "comment": " "},
    )
    assert empty.status_code == 422
    assert 'href="#cm"' in html_of(empty)
    assert html_of(empty).count("checked") == 1


def test_the_queue_says_for_whom_one_decides(desk: Sit, at: Any) -> None:
    """“B for A” in the queue too; for what one may decide oneself nobody is named; the same
    statements for few and for many.
    """
    at("2026-10-01T09:00Z")
    giver = User.objects.get(username="product-manager")
    delegations.delegate(
        actor=giver,
        receiver="senior-devops",
        starts_at=timezone.now(),
        ends_at=timezone.now() + timedelta(days=1),
    )
    client = browser("senior-devops")

    def queue() -> tuple[str, int]:
        client.get("/approvals/")
        with CaptureQueriesContext(connection) as queries:
            html = html_of(client.get("/approvals/"))
        return html, len(queries)

    desk("engineer").submit("P2")
    html, few = queue()
    assert html.count("for Lena Vogt") == 1, "the business approval, not the technical review"
    for _ in range(10):
        desk("engineer").submit("P2")
    html, many = queue()
    assert (html.count("for Lena Vogt"), many) == (11, few)
