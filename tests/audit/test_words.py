"""The trail holds the words, and can forget a secret (A41)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.db import Error, connection, models, transaction
from django.test import Client

from accounts.models import User
from audit import trail
from audit.models import Event, Redaction, Words
from notifications.models import Message
from requests import redaction
from tests.implementation.road import SLOT, Road, later, told, why
from tests.world import FULL, Desk

Sit = Callable[[str], Desk]
SECRET = "mysql -p'hunter2-hunter2' shop"
WHY = "A password was pasted"


def events(desk: Sit, number: str, action: str) -> list[dict[str, Any]]:
    return list(desk("auditor").get(f"/audit?change={number}&action={action}")["items"])


def propose(
    desk: Sit, who: str, event: int, text: str, expect: int = 202, reason: str = WHY
) -> Any:
    found = desk(who).get(f"/audit/{event}/texts")
    n = next(item["n"] for item in found if item["text"] == text)
    return desk(who).post(f"/audit/{event}/redact", {"n": n, "reason": reason}, expect=expect)


def redact(desk: Sit, event: int, text: str) -> None:
    """The change manager asks, the security engineer agrees."""
    proposal = propose(desk, "change-manager", event, text)["proposal"]
    desk("security").post(f"/proposals/{proposal}/confirm")


def everything() -> str:
    """All that the database holds, in every column of every table, as text."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND"
            " table_type = 'BASE TABLE'"
        )
        tables = [name for (name,) in cursor.fetchall()]
        found = []
        for table in tables:
            cursor.execute(f"SELECT coalesce(string_agg(t::text, chr(10)), '') FROM \"{table}\" t")
            found.append(cursor.fetchone()[0])
    return "\n".join(found)


# --- the words are kept ---------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_round_keeps_what_was_submitted_word_for_word(desk: Sit, at: Any) -> None:
    """A41, A35: each round's content stands in the trail; a later edit does not change what an
    earlier round says.
    """
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P2")["id"])
    version = desk("engineer").get(f"/changes/{number}")["version"]
    desk("engineer").patch(
        f"/changes/{number}", {"version": version, "testing_plan": "Index 2,000 products."}
    )
    first, second = (event["data"] for event in events(desk, number, "approval.open_round"))
    assert (first["round"], second["round"]) == (1, 2)
    for name in (
        "summary",
        "reason",
        "implementation_steps",
        "rollback_plan",
        "testing_plan",
        "user_impact",
        "rollback_tested",
    ):
        assert first["content"][name] == FULL[name]
    assert (
        first["content"]["priority"],
        first["content"]["rollback_minutes"],
        first["content"]["components"],
    ) == ("P2", 15, ["search"])
    assert second["content"]["testing_plan"] == "Index 2,000 products."
    assert first["content_hash"] != second["content_hash"]


@pytest.mark.django_db
def test_a_verdict_keeps_its_comment_and_its_answers(desk: Sit, at: Any) -> None:
    """A41: comment and checklist of every verdict; what was not applicable with its note (A34)."""
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P2")["id"])
    answers = dict.fromkeys(["T1", "T2", "T3", "T4", "T5"], True) | {
        "T6": {"not_applicable": "There is no database in it"}
    }
    desk("tech-lead").decide(number, "technical", checklist=answers, comment="Sound, and small")
    (verdict,) = events(desk, number, "approval.decide")
    assert verdict["data"]["comment"] == "Sound, and small"
    assert verdict["data"]["checklist"] == answers
    assert set(verdict["digests"]) == {"comment", "checklist"}


@pytest.mark.django_db
def test_a_review_keeps_every_version(desk: Sit, at: Any) -> None:
    """A41, X36, R147: the second PUT is a second version; the first stays readable, by page and by
    the trail.
    """
    road = Road(desk, at)
    number = road.failed()
    desk("devops").put(
        f"/changes/{number}/review", {"summary": "It broke.", "lessons": "Measure first"}
    )
    at(later(SLOT, hours=3))
    out = desk("engineer").put(
        f"/changes/{number}/review", {"summary": "It broke at step 2.", "lessons": "Measure first"}
    )
    assert (out["version"], out["written_by"], out["revised_by"]) == (2, "devops", "engineer")
    desk("engineer").put(
        f"/changes/{number}/review", {"summary": "It broke at step 2.", "lessons": "Measure first"}
    )  # says the same
    kept = [
        (event["data"]["version"], event["data"]["summary"], event["actor"])
        for event in events(desk, number, "implementation.review")
    ]
    assert kept == [(1, "It broke.", "devops"), (2, "It broke at step 2.", "engineer")]
    page = Client()
    page.force_login(User.objects.get(username="auditor"))
    html = page.get(f"/changes/{number}/history/").content.decode()
    assert "It broke." in html
    assert "It broke at step 2." in html
    for writer in ("devops", "engineer"):  # neither writer of any version confirms it
        desk(writer).post(f"/changes/{number}/review/confirmation", expect=403)


@pytest.mark.django_db
def test_the_event_holds_the_digest_that_anybody_can_compute(desk: Sit, at: Any) -> None:
    """A41: `sha256:` of the salt and the text as JSON; every text has a salt of its own."""
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P3")["id"])
    for text in ("Looks good", "And now?"):
        desk("engineer2").post(f"/changes/{number}/comments", {"text": text}, expect=201)
    salts = set()
    for text in ("Looks good", "And now?"):
        words = Words.objects.get(texts__text=text)
        salts.add(words.salts["text"])
        expected = hashlib.sha256((words.salts["text"] + json.dumps(text)).encode()).hexdigest()
        assert Event.objects.get(pk=words.pk).data["digests"] == {"text": f"sha256:{expected}"}
        assert len(words.salts["text"]) == 32
    assert len(salts) == 2


@pytest.mark.django_db
def test_nothing_typed_stands_in_the_chain_itself(desk: Sit, at: Any) -> None:
    """A41: whatever people write in a change's life, no event's own data holds it; so that it can
    be taken.
    """
    at("2026-10-01T09:00Z")
    mark = "ZXQ"
    typed = {
        name: f"{mark} {name}"
        for name in (
            "summary",
            "reason",
            "implementation_steps",
            "rollback_plan",
            "testing_plan",
            "user_impact",
        )
    }
    number = str(
        desk("engineer").submit("P2", **typed, requested_window={"start": "2026-10-06T02:00Z"})[
            "id"
        ]
    )
    version = desk("engineer").get(f"/changes/{number}")["version"]
    desk("engineer").patch(
        f"/changes/{number}",
        {
            "version": version,
            "testing_plan": f"{mark} again",
            "external_refs": [
                {"system": "jira", "key": "X-1", "url": f"https://x.example.com/{mark[:3]}"}
            ],
        },
    )
    desk("engineer").post(f"/changes/{number}/comments", {"text": f"{mark} comment"}, expect=201)
    desk("tech-lead").decide(number, "technical", comment=f"{mark} fine")
    desk("eng-manager").decide(number, "business", "request_changes", comment=f"{mark} no")
    desk("engineer").post(f"/changes/{number}/submit")
    desk("tech-lead").decide(number, "technical", comment=f"{mark} fine")
    desk("eng-manager").decide(number, "business", comment=f"{mark} yes")
    desk("eng-manager").decide(number, "sign_off", comment=f"{mark} go, too")
    desk("devops-lead").decide(number, "sign_off", comment=f"{mark} go")
    at("2026-10-06T02:00Z")
    desk("devops").post(f"/changes/{number}/take-over", {})
    desk("devops").tick_off(number, "pre")
    desk("devops").post(f"/changes/{number}/start")
    item = desk("devops").get(f"/changes/{number}/checklist")["items"][-1]["id"]
    desk("devops").patch(
        f"/changes/{number}/checklist/{item}",
        {"state": "skipped", "note": f"{mark} skip", "output": f"{mark} out"},
    )
    desk("devops").post(
        f"/changes/{number}/log", {"kind": "note", "message": f"{mark} log"}, expect=201
    )
    desk("devops").post(
        f"/changes/{number}/checks",
        {"name": "p95", "kind": "latency", "passed": False, "output": f"{mark} slow"},
        expect=201,
    )
    desk("devops").post(
        f"/changes/{number}/issues", {"severity": "P2", "summary": f"{mark} issue"}, expect=201
    )
    desk("devops").post(f"/changes/{number}/fail", {"reason": f"{mark} reason"})
    desk("devops").put(
        f"/changes/{number}/review", {"summary": f"{mark} review", "lessons": f"{mark} lesson"}
    )
    chained = " ".join(json.dumps(data) for data in Event.objects.values_list("data", flat=True))
    assert mark not in chained
    assert json.dumps(list(Words.objects.values_list("texts", flat=True))).count(mark) >= 20


@pytest.mark.django_db
@pytest.mark.parametrize(
    "sql",
    [
        'UPDATE audit_words SET texts = \'{{"text": "other"}}\' WHERE event_id = {0}',
        (
            "UPDATE audit_words SET texts = '{{\"text\": null}}', salts = '{{\"text\": null}}'"
            " WHERE event_id = {0}"
        ),
        'UPDATE audit_words SET salts = \'{{"text": "00"}}\' WHERE event_id = {0}',
        "UPDATE audit_words SET texts = '{{}}', salts = '{{}}' WHERE event_id = {0}",
        "DELETE FROM audit_words WHERE event_id = {0}",
        "TRUNCATE audit_words CASCADE",
        "TRUNCATE audit_redaction",
    ],
)
def test_the_database_refuses_to_change_the_words(sql: str) -> None:
    event = trail.record("test.event", data={"text": "It was so"})
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    with (
        pytest.raises(Error, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(sql.format(event.pk))


@pytest.mark.django_db(transaction=True)
def test_words_come_with_their_event() -> None:
    event = trail.record("test.event", data={"n": 1})
    with pytest.raises(Error, match="not later"):
        Words.objects.create(event=event, texts={"text": "Added"}, salts={"text": "00"})


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "tamper",
    [
        'UPDATE audit_words SET texts = \'{"text": "other"}\'',
        'UPDATE audit_words SET salts = \'{"text": "00"}\'',
        "UPDATE audit_words SET texts = '{\"text\": null}', salts = '{\"text\": null}'",
        "UPDATE audit_words SET texts = '{}', salts = '{}'",
        "DELETE FROM audit_words",
        (
            'INSERT INTO audit_words (event_id, texts, salts) SELECT min(id), \'{"text": "x"}\','
            ' \'{"text": "00"}\' FROM audit_event'
        ),
    ],
)
def test_words_that_are_not_what_was_said_are_found(tamper: str) -> None:
    """F60: by the database's owner, with triggers switched off."""
    trail.record("test.event", data={"n": 1})
    trail.record("test.event", data={"text": "It was so"})
    assert trail.verify().ok
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(tamper)
    found = trail.verify()
    assert not found.ok
    assert "event" in found.problem


# --- and can be forgotten -------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_secret_goes_from_everywhere_and_the_trail_still_verifies(desk: Sit, at: Any) -> None:
    """A41: content by round, log, comment, verdict, mails: gone from every column of every table;
    digest, who and why stay.
    """
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P2", testing_plan=SECRET)["id"])
    version = desk("engineer").get(f"/changes/{number}")["version"]
    desk("engineer").post(f"/changes/{number}/comments", {"text": SECRET}, expect=201)
    desk("tech-lead").decide(number, "technical", comment=SECRET)
    desk("engineer").patch(
        f"/changes/{number}", {"version": version, "testing_plan": "Ask the vault."}
    )
    assert everything().count("hunter2") >= 6
    comment = events(desk, number, "change.comment")[0]
    redact(desk, comment["id"], SECRET)
    assert "hunter2" not in everything()
    (after,) = events(desk, number, "change.comment")
    assert after["data"]["text"] == "[redacted]"
    assert after["digests"] == comment["digests"]
    assert (
        events(desk, number, "approval.open_round")[0]["data"]["content"]["testing_plan"]
        == "[redacted]"
    )
    assert events(desk, number, "approval.decide")[0]["data"]["comment"] == "[redacted]"
    found = trail.verify()
    assert (found.ok, found.redacted) == (True, Redaction.objects.count())
    (said,) = events(desk, number, "audit.redact")
    assert (said["actor"], said["data"]["confirmed_by"], said["data"]["reason"]) == (
        "change-manager",
        User.objects.get(username="security").pk,
        WHY,
    )
    assert {"event": comment["id"], "place": "text", "digest": comment["digests"]["text"]} in said[
        "data"
    ]["taken"]
    assert Message.objects.filter(body="[redacted]").exists()
    assert desk("engineer").get(f"/changes/{number}")["testing_plan"] == "Ask the vault."


@pytest.mark.django_db
def test_what_a_change_says_now_is_edited_first(desk: Sit, at: Any) -> None:
    """A41: approvals stand on what it says; the text is taken from the past, never from under a
    verdict or a run.
    """
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P3", implementation_steps=SECRET)["id"])
    (opened,) = events(desk, number, "approval.open_round")
    refused = propose(desk, "change-manager", opened["id"], SECRET, expect=409)
    assert "take it out by an edit first" in refused["reasons"][0]["message"]
    desk("engineer").post(f"/changes/{number}/cancel", {"reason": "Not like this"})
    redact(desk, opened["id"], SECRET)
    assert desk("engineer").get(f"/changes/{number}")["implementation_steps"] == "[redacted]"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "who", ["engineer", "tech-lead", "devops-lead", "cto", "manager", "auditor", "oncall"]
)
def test_nobody_else_redacts(desk: Sit, at: Any, who: str) -> None:
    """A41: change manager and security engineer."""
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P3")["id"])
    desk("engineer2").post(f"/changes/{number}/comments", {"text": SECRET}, expect=201)
    event = events(desk, number, "change.comment")[0]["id"]
    desk(who).post(f"/audit/{event}/redact", {"n": 0, "reason": WHY}, expect=403)
    client = Client()
    client.force_login(User.objects.get(username=who))
    assert client.get(f"/audit/{event}/redact/").status_code == 403
    assert client.post(f"/audit/{event}/redact/", {"n": 0, "reason": WHY}).status_code == 403
    proposal = propose(desk, "security", event, SECRET)["proposal"]
    desk(who).post(f"/proposals/{proposal}/confirm", expect=403)
    assert SECRET in everything()


@pytest.mark.django_db
@pytest.mark.parametrize(("asks", "confirms", "expect"), [
    ("change-manager", "security", 200), ("security", "change-manager", 200),
    ("change-manager", "change-manager", 403), ("security", "security", 403),
])  # fmt: skip
def test_it_takes_one_of_each(desk: Sit, at: Any, asks: str, confirms: str, expect: int) -> None:
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P3")["id"])
    desk("engineer2").post(f"/changes/{number}/comments", {"text": SECRET}, expect=201)
    proposal = propose(desk, asks, events(desk, number, "change.comment")[0]["id"], SECRET)[
        "proposal"
    ]
    other = {"change-manager": "security", "security": "change-manager"}[asks]
    assert told("proposal") == [other]
    desk(confirms).post(f"/proposals/{proposal}/confirm", expect=expect)
    assert (SECRET in everything()) == (expect != 200)


@pytest.mark.django_db
def test_who_wrote_it_does_not_agree_that_it_goes(desk: Sit, at: Any) -> None:
    """A37: a second person is never requester or author, here nor whoever wrote the words."""
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P3")["id"])
    desk("security").post(f"/changes/{number}/comments", {"text": SECRET}, expect=201)
    event = events(desk, number, "change.comment")[0]["id"]
    proposal = propose(desk, "change-manager", event, SECRET)["proposal"]
    assert why(desk("security").post(f"/proposals/{proposal}/confirm", expect=403)) == [
        "own_change"
    ]
    own = str(desk("security").submit("P3")["id"])
    desk("engineer2").post(f"/changes/{own}/comments", {"text": SECRET + "!"}, expect=201)
    proposal = propose(
        desk, "change-manager", events(desk, own, "change.comment")[0]["id"], SECRET + "!"
    )["proposal"]
    assert why(desk("security").post(f"/proposals/{proposal}/confirm", expect=403)) == [
        "own_change"
    ]
    assert everything().count("hunter2") >= 2


@pytest.mark.django_db
def test_the_page_is_offered_where_somebody_wrote_something(desk: Sit, at: Any) -> None:
    """A41: not for ticks alone, nor once all is redacted, nor to anybody else."""
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P2")["id"])
    desk("tech-lead").decide(number, "technical")
    desk("engineer2").post(f"/changes/{number}/comments", {"text": SECRET}, expect=201)
    comment, ticks = (
        events(desk, number, "change.comment")[0]["id"],
        events(desk, number, "approval.decide")[0]["id"],
    )

    def shown(username: str) -> str:
        client = Client()
        client.force_login(User.objects.get(username=username))
        return client.get(f"/changes/{number}/audit/").content.decode()

    for username in ("change-manager", "security"):
        assert f"/audit/{comment}/redact/" in shown(username)
        assert f"/audit/{ticks}/redact/" not in shown(username)
    assert "/redact/" not in shown("auditor")
    redact(desk, comment, SECRET)
    assert f"/audit/{comment}/redact/" not in shown("security")


@pytest.mark.django_db
def test_a_bad_request_names_its_field(desk: Sit, at: Any) -> None:
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P3")["id"])
    desk("engineer2").post(f"/changes/{number}/comments", {"text": SECRET}, expect=201)
    event = events(desk, number, "change.comment")[0]["id"]
    manager = desk("change-manager")
    assert {
        error["field"]
        for error in manager.post(f"/audit/{event}/redact", {"n": 9, "reason": WHY}, expect=422)[
            "errors"
        ]
    } == {"n"}
    assert {
        error["field"]
        for error in manager.post(f"/audit/{event}/redact", {"n": 0, "reason": " "}, expect=422)[
            "errors"
        ]
    } == {"reason"}
    assert {
        error["field"]
        for error in manager.post(
            f"/audit/{event}/redact", {"n": 0, "reason": f"It said {SECRET}"}, expect=422
        )["errors"]
    } == {"reason"}
    for missing in (0, 2**63, 10**8):
        manager.post(f"/audit/{missing}/redact", {"n": 0, "reason": WHY}, expect=404)
    client = Client()
    client.force_login(User.objects.get(username="change-manager"))
    answer = client.post(f"/audit/{event}/redact/", {"n": "x" * 50, "reason": "Kept as typed"})
    assert answer.status_code == 422
    assert "Kept as typed" in answer.content.decode()


@pytest.mark.django_db
def test_every_column_of_text_is_typed_or_known_not_to_be() -> None:
    """A41: a new column that holds what people write is forgotten with the rest, or named here as
    what nobody types a secret into.
    """
    not_typed = {
        "accounts.User": {"password", "username", "name", "phone", "email"},
        "accounts.SetupLink": {"digest"}, "accounts.StandIn": {"role"},
        "accounts.ApiToken": {"name", "prefix", "digest"}, "approvals.Policy": {"rules"},
        "approvals.PolicyDraft": {"title", "rules"},
        "approvals.Step": {"content_hash", "priority"},
        "approvals.Decision": {"role", "content_hash"},
        "implementation.ChecklistItem": {"group", "requirement"},
        "implementation.Check": {"name", "unit"},
        "notifications.Message": {"key", "kind", "subject", "body", "error"},
        "proposals.Proposal": {"kind", "subject", "widens", "payload"},
        "requests.ChangeRequest": {"number", "content_hash", "approved_hash", "risk_answers",
            "requester_role", "window_name"},
        "requests.Component": {"slug", "name", "team"}, "requests.UsualReviewer": {"role"},
        "requests.Suggestion": {"field"},
        "requests.IdempotencyKey": {"key", "fingerprint", "body"},
        "reports.MonthlyReport": {"figures", "fingerprint", "moved"},
        "windows.MaintenanceWindow": {"name", "rule", "zone"},
        "windows.Closure": {"name", "first", "last"}, "windows.Feed": {"team", "digest"},
        "changemgmt.Heartbeat": {"name"},
    }  # fmt: skip
    kinds = (models.CharField, models.TextField, models.JSONField)
    for model in apps.get_models():
        label = model._meta.label
        if model._meta.app_label in {
            "audit",
            "auth",
            "contenttypes",
            "sessions",
            "guardian",
            "account",
            "mfa",
            "usersessions",
        }:
            continue
        columns = {
            f.name for f in model._meta.concrete_fields if isinstance(f, kinds) and not f.choices
        }
        assert columns - redaction.COLUMNS == not_typed.get(label, set()), label
