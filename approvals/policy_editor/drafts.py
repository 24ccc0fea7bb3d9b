"""The policy in the making: drafts, their edits, and what publishing takes (issue 3 item 1, A2,
A27).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from accounts.models import User
from accounts.roles import Role
from approvals.models import Policy, PolicyDraft
from approvals.policy import check, policy
from audit import trail
from language import reading
from language.refusal import Invalid, Missing, Reason, Stale, raise_refusal
from requests.models import Component

KIND = "policy"  # of its proposals
State = PolicyDraft.State


def edit_refusal(user: User, draft: PolicyDraft | None = None) -> list[Reason]:
    """Why this person may not make, edit or publish a draft now."""
    if not (user.may_write and user.has_role(Role.CHANGE_MANAGER)):
        return [
            Reason(
                "not_yours",
                "The change manager edits the approval policy; everybody may read it and try it"
                " out.",
            )
        ]
    if draft is not None and draft.state == State.PROPOSED:
        return [
            Reason(
                "state",
                "This draft waits for its second person; withdraw it there to go on editing.",
            )
        ]
    if draft is not None and draft.state != State.EDITING:
        return [
            Reason("state", f"This draft was {State(draft.state).label.lower()}; start another.")
        ]
    return []


def _take_turns() -> None:
    """Those who publish come one after the other, so that each compares with what then counts: a
    row's lock would not say that it is still the newest.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('policy'))")


def published() -> Policy:
    """The policy that counts for new rounds."""
    found = Policy.objects.order_by("-version").first()
    if found is None:
        raise Missing([Reason("missing", "No policy has been published yet; run setup_process.")])
    return found


def draft_for(key: int, *, lock: bool = False) -> PolicyDraft:
    """The draft of that key, `lock`ed for an edit. Raises Missing."""
    rows = PolicyDraft.objects.select_related("author", "edited_by", "based_on")
    rows = rows.select_for_update(of=("self",)) if lock else rows
    found = rows.filter(pk=key).first() if 0 < key < 2**63 else None
    if found is None:
        raise Missing([Reason("missing", "There is no such draft.")])
    return found


def component_slugs() -> frozenset[str]:
    """The components that a rule may name."""
    return frozenset(Component.objects.values_list("slug", flat=True))


# --- making and editing ---------------------------------------------------------------------------


@transaction.atomic
def start(*, actor: User, title: str) -> PolicyDraft:
    """A draft that says what the published policy says, to be edited."""
    raise_refusal(edit_refusal(actor))
    base, now = published(), timezone.now()
    made = PolicyDraft.objects.create(
        title=_title(title),
        rules=base.rules,
        based_on=base,
        author=actor,
        edited_by=actor,
        created_at=now,
        edited_at=now,
    )
    trail.record("policy.draft", actor=actor, data={"draft": made.pk, "based_on": base.version})
    return made


def _title(title: str) -> str:
    title = reading.said(
        "title", title, "Title", "say in a few words what this policy changes.", limit=120
    )
    return " ".join(title.split())


#: One edit: takes the rules and changes them.
Edit = Callable[[dict[str, Any]], None]


@transaction.atomic
def edit(*, actor: User, key: int, revision: int, change: Edit) -> PolicyDraft:
    """Apply one edit to the draft as this person saw it. Raises Stale when somebody has edited it
    since, Invalid for what cannot be.
    """
    draft = draft_for(key, lock=True)
    raise_refusal(edit_refusal(actor, draft))
    if revision != draft.revision:
        raise Stale(
            [
                Reason(
                    "stale",
                    f"{draft.edited_by} edited this draft since you opened it. Look at it again,"
                    " then make your edit.",
                )
            ]
        )
    rules = deepcopy(draft.rules)
    change(rules)
    differences = check.compare(draft.rules, rules)
    draft.rules, draft.revision, draft.edited_by, draft.edited_at = (
        rules,
        draft.revision + 1,
        actor,
        timezone.now(),
    )
    draft.save(update_fields=["rules", "revision", "edited_by", "edited_at"])
    trail.record(
        "policy.edit",
        actor=actor,
        data={"draft": draft.pk, "changes": [found.text for found in differences][:50]},
    )
    return draft


#: A stage by its number from 1; 0 are the reviews owed after an emergency.
Place = tuple[str, int, int]


def _stage(rules: dict[str, Any], priority: str, stage: int) -> list[dict[str, Any]]:
    found: list[list[dict[str, Any]]] = (
        [rules[priority]["deferred"], *rules[priority]["stages"]]
        if priority in check.PRIORITIES
        else []
    )
    if not 0 <= stage < len(found):
        raise Missing([Reason("missing", "There is no such stage.")])
    return found[stage]


def _check(rules: dict[str, Any], place: Place) -> list[dict[str, Any]]:
    stage = _stage(rules, place[0], place[1])
    if not 0 <= place[2] < len(stage):
        raise Missing([Reason("missing", "There is no such step.")])
    return stage


def save_step(place: Place, step: Mapping[str, Any]) -> Edit:
    """Put these values in the place of a step. Raises Invalid with what is wrong with them, by
    field.
    """

    def change(rules: dict[str, Any]) -> None:
        stage = _check(rules, place)
        made = {**stage[place[2]], **step}
        if wrong := list(check.step_problems(made, component_slugs())):
            where = (
                f"{place[0]}, {f'stage {place[1]}' if place[1] else 'owed afterwards'},"
                f" {policy.KIND_LABELS[made['kind']].lower()}"
            )
            raise Invalid(fields={"step": " ".join(f"{where}: {text}" for text in wrong)})
        stage[place[2]] = made

    return change


def together(*edits: Edit) -> Edit:
    """Several edits as one."""

    def change(rules: dict[str, Any]) -> None:
        for edit in edits:
            edit(rules)

    return change


def add_step(priority: str, stage: int, kind: str) -> Edit:
    """A step of that kind at the end of a stage, with the words that the process has for it."""

    def change(rules: dict[str, Any]) -> None:
        found = _stage(rules, priority, stage)
        if kind not in policy.KIND_LABELS or any(step["kind"] == kind for step in found):
            raise Invalid(
                fields={
                    "kind": (
                        f"{priority}, stage {stage}: choose a kind of step that it does not have"
                        " yet."
                    )
                }
            )
        found.append(
            policy.step_rule(
                kind, policy.USUAL_ROLES[kind], mode="all" if kind == policy.SIGN_OFF else "any"
            )
        )

    return change


def remove_step(place: Place) -> Edit:
    """Take a step away; a stage left empty goes with it, but for the first."""

    def change(rules: dict[str, Any]) -> None:
        stage = _check(rules, place)
        del stage[place[2]]
        if not stage and place[1]:
            del rules[place[0]]["stages"][place[1] - 1]

    return change


def move_step(place: Place, to: int) -> Edit:
    """Into another stage of the same priority; the number after the last makes a new one. A stage
    left empty goes.
    """

    def change(rules: dict[str, Any]) -> None:
        stage = _check(rules, place)
        stages = rules[place[0]]["stages"]
        if to == len(stages) + 1 and len(stages) < check.MOST_STAGES:
            stages.append([])
        target = _stage(rules, place[0], to)
        if target is stage:
            return
        if any(step["kind"] == stage[place[2]]["kind"] for step in target):
            raise Invalid(fields={"to": "Stage: it has a step of that kind already."})
        target.append(stage.pop(place[2]))
        rules[place[0]]["stages"] = [kept for kept in stages if kept]

    return change


def add_stage(priority: str, kind: str) -> Edit:
    """One more stage at the end, with one step of that kind."""

    def change(rules: dict[str, Any]) -> None:
        stages = rules[priority]["stages"] if priority in check.PRIORITIES else None
        if stages is None:
            raise Missing([Reason("missing", "There is no such priority.")])
        if len(stages) >= check.MOST_STAGES:
            raise Invalid(fields={"stage": f"Stages: at most {check.MOST_STAGES}."})
        stages.append([])
        add_step(priority, len(stages), kind)(rules)

    return change


def copy_priority(priority: str, source: str) -> Edit:
    """Let one priority ask what another asks."""

    def change(rules: dict[str, Any]) -> None:
        standard = check.PRIORITIES[1:]
        if priority not in standard or source not in standard:
            raise Invalid(
                fields={
                    "source": (
                        "Copy from: choose one of P1, P2 and P3; an emergency's steps are its own."
                    )
                }
            )
        rules[priority] = deepcopy(rules[source])

    return change


def starts_before(allowed: bool) -> Edit:
    """Whether the on-call engineer on duty, alone, may start an emergency that nobody has
    authorised yet (A33).
    """

    def change(rules: dict[str, Any]) -> None:
        rules["P0"]["starts_before"] = allowed

    return change


@transaction.atomic
def discard(*, actor: User, key: int) -> PolicyDraft:
    """Give a draft up; it stays readable. Raises NotYours or Blocked by `edit_refusal`."""
    draft = draft_for(key, lock=True)
    raise_refusal(edit_refusal(actor, draft))
    draft.state = State.DISCARDED
    draft.save(update_fields=["state"])
    trail.record("policy.discard", actor=actor, data={"draft": draft.pk})
    return draft


@transaction.atomic
def rebase(*, actor: User, key: int) -> PolicyDraft:
    """Another policy was published meanwhile: bring in what it changed, and compare with it from
    now on.

    Priority by priority: what only the other changed is taken over, what only this draft changed is
    kept; where both did, this draft's stands, and the comparison shows what that would undo.
    """
    draft, now = draft_for(key, lock=True), published()
    raise_refusal(edit_refusal(actor, draft))
    base = draft.based_on.rules
    draft.rules = {
        priority: now.rules[priority] if rules == base[priority] else rules
        for priority, rules in draft.rules.items()
    }
    draft.based_on, draft.revision, draft.edited_by, draft.edited_at = (
        now,
        draft.revision + 1,
        actor,
        timezone.now(),
    )
    draft.save(update_fields=["rules", "based_on", "revision", "edited_by", "edited_at"])
    trail.record(
        "policy.rebase", actor=actor, data={"draft": draft.pk, "based_on": draft.based_on.version}
    )
    return draft


# --- publishing -----------------------------------------------------------------------------------


def publish_refusal(draft: PolicyDraft, base: Policy) -> list[Reason]:
    """Why a draft cannot be published as it is: somebody was first, nothing changes, or it is not
    sound.
    """
    if draft.based_on_id != base.pk:
        return [
            Reason(
                "based_on",
                f"Version {base.version} was published meanwhile; compare this draft with it"
                " first.",
            )
        ]
    if wrong := check.problems(draft.rules, component_slugs()):
        return [Reason("unsound", text) for text in wrong]
    if not check.compare(base.rules, draft.rules):
        return [Reason("same", "It says what the published policy says; edit it first.")]
    return []
