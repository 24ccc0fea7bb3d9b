"""Policy as data: drafts, versions, the second person, the trial on past changes and the simulator
(issue 3 item 1, A2, A27).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import ApiToken, User
from approvals.models import Policy, PolicyDraft, Step
from audit.models import Event
from notifications.models import Message
from proposals.models import Proposal
from requests.models import ChangeRequest
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]
BASE = "/settings/policy/"


def browser(username: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(username=username))
    return client


class Editor:
    """The change manager before a draft."""

    def __init__(self, title: str = "Another policy", username: str = "change-manager") -> None:
        self.client = browser(username)
        answer = self.client.post(f"{BASE}drafts/new", {"title": title})
        self.key = int(re.findall(r"\d+", answer["Location"])[0])

    @property
    def draft(self) -> PolicyDraft:
        return PolicyDraft.objects.get(pk=self.key)

    def edit(self, verb: str, expect: int = 302, **values: Any) -> str:
        values = {"verb": verb, "revision": self.draft.revision, **values}
        answer = self.client.post(f"{BASE}drafts/{self.key}/edit", values)
        assert answer.status_code == expect, answer.content.decode()[:3000]
        return answer.content.decode()

    def save(self, place: str, expect: int = 302, **more: Any) -> str:
        priority, stage, index = place.split("-")
        rules = self.draft.rules[priority]
        step = (rules["stages"][int(stage) - 1] if stage != "0" else rules["deferred"])[int(index)]
        values = {
            "roles": step["roles"],
            "mode": step["mode"],
            "needed": step["needed"],
            "when": [trigger for trigger in step["when"] if not trigger.startswith("component:")],
            "checklist": "\n".join(f"{item['key']}: {item['text']}" for item in step["checklist"]),
            **{
                name: "" if step[name] is None else step[name]
                for name in ("due_hours", "remind_hours", "escalate_hours")
            },
        }
        verb = str(more.pop("verb", "save"))
        return self.edit(verb, expect, priority=priority, place=place, **(values | more))

    def move(self, place: str, to: str) -> str:
        return self.save(place, verb="move", to=to)

    def publish(self, expect: int = 302, reason: str = "We learned", **more: Any) -> str:
        answer = self.client.post(
            f"{BASE}drafts/{self.key}/publish",
            {"revision": self.draft.revision, "reason": reason, "verb": "publish", **more},
        )
        assert answer.status_code == expect, answer.content.decode()[:3000]
        return answer.content.decode()


def test_what_narrows_is_in_effect_at_once_and_for_new_rounds_only(desk: Sit, at: Any) -> None:
    """A2: a round under way keeps its copy; the next round, and every other change, is asked by the
    new version.
    """
    at("2026-10-01T09:00Z")
    under_way = str(desk("engineer").submit("P2")["id"])
    editor = Editor()
    editor.save("P2-1-0", needed=2)
    editor.publish()
    policy = Policy.objects.get(version=2)
    assert (str(policy.published_by), policy.confirmed_by) == ("Noor Rahman", None)
    assert not Proposal.objects.exists()
    assert [
        step["needed"] for step in desk("engineer").steps(under_way) if step["kind"] == "technical"
    ] == [1]
    new = str(desk("engineer").submit("P2")["id"])
    desk("tech-lead").decide(new, "technical")
    assert [s["state"] for s in desk("engineer").steps(new) if s["kind"] == "technical"] == ["open"]
    assert desk("tech-lead").decide(new, "technical", expect=409)["reasons"][0]["code"] == "decided"
    desk("senior-devops").decide(new, "technical")
    assert [s["state"] for s in desk("engineer").steps(new) if s["kind"] == "technical"] == [
        "approved"
    ]
    version = desk("engineer").get(f"/changes/{under_way}")["version"]
    desk("engineer").patch(
        f"/changes/{under_way}", {"version": version, "summary": "Search: another summary"}
    )
    assert [
        s["needed"]
        for s in desk("engineer").steps(under_way)
        if s["kind"] == "technical" and s["round"] == 2
    ] == [2]
    assert Event.objects.get(action="policy.publish").data["changes"] == [
        "P2: technical review: by two different people, each Senior DevOps engineer or Tech lead,"
        " instead of Senior DevOps engineer or Tech lead."
    ]


def test_what_widens_takes_a_second_person(desk: Sit, at: Any) -> None:
    """A27: in effect only when somebody else confirms it; not its author, not whoever may not;
    once; the trail names both.
    """
    at("2026-10-01T09:00Z")
    editor = Editor("Engineers sign off P3")
    editor.save("P3-2-0", roles=["engineer", "devops-lead"])
    editor.publish()
    assert Policy.objects.count() == 1
    found = Proposal.objects.get()
    assert found.widens == [
        "P3: lets one more role decide, and see what is confidential: Engineer.",
        (
            "P3: sign-off: by Engineer or DevOps lead, instead of DevOps engineer, Senior DevOps"
            " engineer or DevOps lead."
        ),
    ]
    assert set(
        Message.objects.filter(kind="proposal").values_list("recipient__username", flat=True)
    ) == {"devops-lead", "cto"}
    assert editor.save("P3-2-0", expect=409, needed=2).count("waits for its second person") >= 1
    for name, status in (
        ("change-manager", 403),
        ("engineer", 403),
        ("auditor", 403),
        ("manager", 403),
        ("admin", 403),
    ):
        desk(name).post(f"/proposals/{found.pk}/confirm", expect=status)
        assert (
            browser(name)
            .post(f"/settings/proposals/{found.pk}/answer", {"verb": "confirm"})
            .status_code
            == status
        )
    assert desk("engineer").get("/proposals")["items"][0]["widens"] == found.widens
    answered = desk("cto").post(f"/proposals/{found.pk}/confirm")
    assert (answered["state"], answered["answered_by"]) == ("confirmed", "cto")
    assert (
        desk("devops-lead")
        .post(f"/proposals/{found.pk}/confirm", expect=409)["reasons"][0]["message"]
        .startswith("Helen Park was first")
    )
    policy = Policy.objects.get(version=2)
    assert (str(policy.published_by), str(policy.confirmed_by)) == ("Noor Rahman", "Helen Park")
    assert desk("engineer").get("/proposals")["items"] == []
    assert editor.draft.state == "published"
    actions = list(
        Event.objects.filter(action__regex="^(proposal|policy)")
        .order_by("id")
        .values_list("action", "actor__username")
    )
    assert actions[-3:] == [
        ("proposal.create", "change-manager"),
        ("policy.publish", "cto"),
        ("proposal.confirm", "cto"),
    ]


def test_declined_or_withdrawn_it_goes_back_to_its_author(desk: Sit, at: Any) -> None:
    """A27: a decline says why; the draft can be edited again; a token never answers (contract)."""
    at("2026-10-01T09:00Z")
    editor = Editor()
    editor.save("P3-2-0", when=["high_risk"])
    assert "its last stage needs a step that is asked always" in editor.publish(expect=409)
    editor.save("P3-2-0", when=[], roles=["engineer"])
    editor.publish()
    key = Proposal.objects.get().pk
    desk("cto").post(f"/proposals/{key}/decline", {"reason": " "}, expect=422)
    page = browser("cto").post(
        f"/settings/proposals/{key}/answer", {"verb": "decline", "reason": ""}
    )
    assert page.status_code == 422
    assert "say why you decline" in page.content.decode()
    desk("cto").post(f"/proposals/{key}/decline", {"reason": "Engineers do not carry the pager"})
    assert editor.draft.state == "editing"
    assert "pager" in Message.objects.get(kind="proposal_answered").body
    editor.publish()
    second = Proposal.objects.latest("id").pk
    assert (
        browser("devops-lead")
        .post(f"/settings/proposals/{second}/answer", {"verb": "withdraw"})
        .status_code
        == 403
    )
    assert (
        editor.client.post(f"/settings/proposals/{second}/answer", {"verb": "withdraw"}).status_code
        == 302
    )
    assert editor.draft.state == "editing"
    assert Policy.objects.count() == 1
    _, secret = ApiToken.make(user=User.objects.get(username="cto"), name="x", scope="write")
    answer = Client().post(
        f"/api/v1/proposals/{second}/confirm", HTTP_AUTHORIZATION=f"Bearer {secret}"
    )
    assert answer.status_code == 403
    assert answer.json()["code"] == "session_needed"


def test_two_drafts_cannot_both_win_unseen(desk: Sit, at: Any) -> None:
    """What is published was compared with what it replaces: the second draft, or its confirmation,
    is refused until that was done again.
    """
    at("2026-10-01T09:00Z")
    first, second = Editor("First"), Editor("Second")
    first.save("P2-1-0", needed=2)
    second.save("P3-2-0", roles=["engineer"])
    second.publish()
    key = Proposal.objects.get().pk
    first.publish()
    assert (
        desk("cto").post(f"/proposals/{key}/confirm", expect=409)["reasons"][0]["code"]
        == "based_on"
    )
    assert Proposal.objects.get().state == "open"
    second.client.post(f"/settings/proposals/{key}/answer", {"verb": "withdraw"})
    assert "compare this draft with it first" in second.publish(expect=409)
    assert (
        second.client.post(f"{BASE}drafts/{second.key}/publish", {"verb": "rebase"}).status_code
        == 302
    )
    assert second.draft.rules["P2"]["stages"][0][0]["needed"] == 2, (
        "what only the first changed was brought in"
    )
    second.publish()
    assert all(line.startswith("P3: ") for line in Proposal.objects.latest("id").widens)


def test_nobody_writes_over_anothers_edit_and_nothing_typed_is_lost(desk: Sit, at: Any) -> None:
    """F-typed text: an edit of an older revision is refused and comes back as typed; so does a step
    that is wrong.
    """
    at("2026-10-01T09:00Z")
    editor = Editor()
    editor.save("P2-1-0", needed=2)
    page = editor.save("P2-1-0", expect=412, revision=1, checklist="T1: Typed with care")
    assert "edited this draft since you opened it" in page
    assert "Typed with care" in page
    page = editor.save(
        "P2-1-0", expect=422, roles=[], checklist="T1: Typed with care\nNext without key"
    )
    assert "name at least one role" in page
    assert "P2, stage 1, technical review: name at least one role" in page
    assert 'href="#step-P2-1-0"' in page
    assert "T2: Next without key" in page
    assert editor.draft.rules["P2"]["stages"][0][0]["needed"] == 2
    assert "own item" in editor.save("P2-1-0", expect=422, checklist="T6: Runbook updated")
    long = "\n".join(f"Item {n}" for n in range(300))
    assert "at most 20 checklist items" in editor.save("P2-1-0", expect=422, checklist=long)
    editor.edit("add", expect=302, priority="P0", stage="0", kind="sign_off")
    assert (
        "only reviews are owed after an emergency"
        in editor.client.get(f"{BASE}drafts/{editor.key}/").content.decode()
    )
    editor.edit("remove", priority="P0", place="P0-0-3")
    for values in (
        {"needed": "x"},
        {"components": "nowhere"},
        {"due_hours": "-3"},
        {"checklist": "T1: a\nT1: b"},
        {"roles": ["manager"]},
    ):
        editor.save("P2-1-0", expect=422, **values)
    for verb, values in (("remove", {"place": "P2-9-9"}), ("save", {"place": "<x>"})):
        editor.edit(verb, expect=404, **values)
    editor.save("P2-1-0", expect=404, verb="move", to="99")
    editor.edit("dance", expect=422)
    editor.edit("add", expect=422, priority="P2", stage="1", kind="technical")
    editor.edit("copy", expect=422, priority="P0", source="P1")


def test_stages_and_steps_are_added_moved_copied_and_removed(desk: Sit, at: Any) -> None:
    """A2: ordered stages of parallel steps, per priority; an empty stage goes; a change is asked
    stage after stage, however many.
    """
    at("2026-10-01T09:00Z")
    editor = Editor()
    editor.edit("add_stage", priority="P3", kind="business")
    editor.move("P3-1-1", "4")
    editor.edit("add", priority="P3", stage="2", kind="technical")
    editor.edit("remove", priority="P3", place="P3-2-1")
    kinds = [[step["kind"] for step in stage] for stage in editor.draft.rules["P3"]["stages"]]
    assert kinds == [["technical", "business"], ["sign_off"], ["business"], ["security"]]
    editor.edit("copy", priority="P2", source="P3")
    assert editor.draft.rules["P2"] == editor.draft.rules["P3"]
    editor.save("P3-4-0", components="search", when=["security_answers"])
    assert editor.draft.rules["P3"]["stages"][3][0]["when"] == [
        "security_answers",
        "component:search",
    ]
    assert (
        "P3: its last stage needs a step that is asked always"
        in editor.client.get(f"{BASE}drafts/{editor.key}/").content.decode()
    )
    editor.save("P3-4-0", when=[])
    editor.save("P2-4-0", when=[])
    editor.publish()
    desk("cto").post(f"/proposals/{Proposal.objects.get().pk}/confirm")
    number = str(desk("engineer").submit("P3")["id"])
    for who, kind in (
        ("tech-lead", "technical"),
        ("devops", "sign_off"),
        ("product-manager", "business"),
        ("security", "security"),
    ):
        assert [s["kind"] for s in desk("engineer").steps(number, "open")] == [kind]
        desk(who).decide(number, kind)
    assert desk("engineer").get(f"/changes/{number}")["state"] == "scheduled"


def test_only_change_managers_edit_and_everybody_reads(desk: Sit, at: Any) -> None:
    """A26: the change manager owns the policy; everybody signed in may read versions, drafts, trial
    and simulator.
    """
    at("2026-10-01T09:00Z")
    editor = Editor()
    for name in ("engineer", "cto", "auditor", "admin", "devops-lead"):
        client = browser(name)
        for path in (
            BASE,
            f"{BASE}versions/1/",
            f"{BASE}drafts/{editor.key}/",
            f"{BASE}drafts/{editor.key}/trial/",
            f"{BASE}simulator/",
        ):
            assert client.get(path).status_code == 200, (name, path)
        assert "Save this step" not in client.get(f"{BASE}drafts/{editor.key}/").content.decode()
        assert client.post(f"{BASE}drafts/new", {"title": "Mine"}).status_code == 403
        assert (
            client.post(
                f"{BASE}drafts/{editor.key}/edit",
                {"verb": "remove", "place": "P2-1-0", "revision": 1},
            ).status_code
            == 403
        )
        assert (
            client.post(
                f"{BASE}drafts/{editor.key}/publish", {"revision": 1, "reason": "x"}
            ).status_code
            == 403
        )
        assert Event.objects.filter(action="access.refused", actor__username=name).count() == 3, (
            "promise 4"
        )
    assert (
        editor.client.post(f"{BASE}drafts/{editor.key}/publish", {"verb": "discard"}).status_code
        == 302
    )
    editor.edit("remove", expect=409, priority="P2", place="P2-1-0")


def test_a_draft_is_tried_out_on_real_past_changes(desk: Sit, at: Any) -> None:
    """Issue 3 item 1: “these would have needed a security review”, each named; confidential ones
    only for who may see them; two statements more.
    """
    at("2026-10-01T09:00Z")
    risky = [
        str(desk("engineer").submit("P2", risk="high", strategy="canary")["id"]) for _ in range(3)
    ]
    for _ in range(2):
        desk("engineer").submit("P2", risk="low")
    desk("engineer").submit("P2", risk="high", strategy="canary", confidential=True)
    desk("engineer").create("P2", risk="high", strategy="canary")  # never submitted
    editor = Editor()
    editor.save("P2-1-1", when=["security_answers", "security_component", "high_risk"])
    editor.save("P2-1-2", when=["users_affected"])

    def tried(name: str) -> tuple[str, int]:
        client = browser(name)
        client.get(f"{BASE}drafts/{editor.key}/trial/")
        with CaptureQueriesContext(connection) as queries:
            page = client.get(f"{BASE}drafts/{editor.key}/trial/?days=30").content.decode()
        return re.sub(r"\s+", " ", page), len(queries)

    page, count = tried("devops2")
    assert "Of <b>5</b> changes, <b>0</b> would have been asked the same" in page
    assert "<b>3</b> would have needed a security review" in page
    assert "<b>5</b> would not have needed a business approval" in page
    assert all(page.count(f'href="/changes/{number}/"') == 2 for number in risky)
    assert "<b>4</b> would have needed a security review" in tried("change-manager")[0]
    for _ in range(10):
        desk("engineer").submit("P2", risk="high", strategy="canary")
    assert tried("devops2")[1] == count
    at("2027-03-01T09:00Z")
    assert "No change of the last 30 days was submitted" in tried("devops2")[0]


def test_the_trial_asks_what_a_submission_would_ask(desk: Sit, at: Any) -> None:
    """One rule: submitting a change under the published draft opens the steps that the trial
    announced for its like.
    """
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P3", components=["search"])["id"])
    editor = Editor()
    editor.save("P3-1-1", when=["security_answers", "security_component"], components="search")
    page = editor.client.get(f"{BASE}drafts/{editor.key}/trial/").content.decode()
    assert "would have needed a security review" in page
    editor.publish()
    other = str(desk("engineer").submit("P3", components=["search"])["id"])
    kinds = [{s["kind"] for s in desk("engineer").steps(n)} for n in (number, other)]
    assert kinds[1] - kinds[0] == {"security"}


def test_the_simulator_names_who_could_decide_and_warns(desk: Sit, at: Any) -> None:
    """A3: steps, people and where it would be stuck: nobody holds the role, or one person would
    have to decide twice in a stage.
    """
    at("2026-10-01T09:00Z")
    client = browser("engineer")
    page = client.get(f"{BASE}simulator/?priority=P1&security=on").content.decode()
    assert all(name in page for name in ("Amir Haddad", "Grace Lindqvist", "Priya Nair", "Stage 2"))
    assert "stuck" not in page
    page = client.get(f"{BASE}simulator/?priority=P1&requester=devops-lead").content.decode()
    assert "It would be stuck: nobody eligible is DevOps lead today." in page
    User.objects.get(username="security").groups.clear()
    assert (
        "Nobody could: it needs Security engineer"
        in client.get(f"{BASE}simulator/?security=on").content.decode()
    )
    editor = Editor()
    editor.save("P2-2-0", roles=["tech-lead"], mode="any", needed=3)
    page = client.get(f"{BASE}simulator/?draft={editor.key}").content.decode()
    assert "it takes 3 different people, and only 1 can be found today" in page
    editor.save("P2-1-2", roles=["tech-lead"])
    editor.save("P2-1-0", roles=["tech-lead"])
    page = client.get(f"{BASE}simulator/?draft={editor.key}").content.decode()
    assert "This stage takes 2 different people, and only 1 can be found today" in page
    assert client.get(f"{BASE}simulator/?components=nowhere").status_code == 422
    assert client.get(f"{BASE}simulator/?requester=nobody").status_code == 422
    assert client.get(f"{BASE}simulator/?draft=999999").status_code == 404
    for name in ("emergency-contact", "cto"):
        assert (
            User.objects.get(username=name).name
            in client.get(f"{BASE}simulator/?priority=P0").content.decode()
        )


def test_hours_of_the_policy_remind_and_escalate(desk: Sit, at: Any) -> None:
    """Issue 3 items 1 and 8: the round's copy says when; a due time shows as “decide by”."""
    from changemgmt.tick import tick

    at("2026-10-01T09:00Z")
    editor = Editor()
    editor.save("P3-1-0", due_hours="2", remind_hours="1", escalate_hours="3")
    editor.publish()
    number = str(desk("engineer").submit("P3")["id"])
    step = Step.objects.get(change__number=number, kind="technical")
    assert (step.due_hours, step.remind_hours, step.escalate_hours) == (2, 1, 3)
    at("2026-10-01T09:59Z")
    assert tick()["approvals_waiting"] == 0
    at("2026-10-01T10:00Z")
    assert tick()["approvals_waiting"] == 1
    at("2026-10-01T12:00Z")
    assert tick()["approvals_waiting"] == 1
    assert "11:00" in browser("change-manager").get("/approvals/waiting/").content.decode()
    assert ChangeRequest.objects.get(number=number).state == "in_review"


def test_a_draft_says_where_changes_would_be_stuck_what_else_it_changes_and_why_it_was_declined(
    desk: Sit, at: Any
) -> None:
    """A3, A27: beside Publish who is missing today; the second person reads every change; the
    author reads the decline on the draft.
    """
    at("2026-10-01T09:00Z")
    editor = Editor()
    editor.save("P2-1-0", roles=["tech-lead"], needed=2, due_hours="30")
    editor.save("P3-2-0", roles=["engineer"])
    page = f"{BASE}drafts/{editor.key}/"
    html = editor.client.get(page).content.decode()
    assert (
        "P2, technical review: It would be stuck: it takes 2 different people, and only 1 can be"
        " found today" in html
    )
    editor.publish()
    key = Proposal.objects.get().pk
    assert (
        "P2: technical review: due after 30 hours, instead of after 48 hours."
        in browser("cto").get("/settings/proposals/").content.decode()
    )
    desk("cto").post(f"/proposals/{key}/decline", {"reason": "Not before Black Friday"})
    assert "Not before Black Friday" in editor.client.get(page).content.decode()
