"""A draft becomes the policy: at once where it tightens, by a second person where it widens."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from accounts import stepup
from accounts.models import User
from approvals.models import Policy, PolicyDraft
from approvals.policy import check
from approvals.policy_editor.drafts import (
    KIND,
    State,
    _take_turns,
    draft_for,
    edit_refusal,
    publish_refusal,
    published,
)
from audit import trail
from language import reading
from language.refusal import Blocked, Reason, Stale, raise_refusal
from proposals import second_person
from proposals.models import Proposal


@transaction.atomic
def publish(*, actor: User, key: int, revision: int, reason: str) -> Policy | Proposal:
    """Put the draft into effect for every round that opens from now on; where it widens, ask a
    second person first (A27).
    """
    _take_turns()
    draft, base = draft_for(key, lock=True), published()
    raise_refusal(edit_refusal(actor, draft))
    if revision != draft.revision:
        raise Stale(
            [
                Reason(
                    "stale",
                    f"{draft.edited_by} edited this draft since you opened it. Look at it again,"
                    " then publish.",
                )
            ]
        )
    stepup.require(actor)
    reason = reading.said(
        "reason", reason, "Reason", "say why the policy changes; auditors read it."
    )
    raise_refusal(publish_refusal(draft, base))
    differences = check.compare(base.rules, draft.rules)
    widens, also = (
        [found.text for found in differences if found.widens == more] for more in (True, False)
    )
    if not widens:
        return _put_into_effect(draft, base, actor, reason)
    draft.state = State.PROPOSED
    draft.save(update_fields=["state"])
    return second_person.propose(
        actor=actor,
        kind=KIND,
        subject=f"Approval policy: {draft.title}",
        reason=reason,
        widens=widens,
        payload={"draft": draft.pk, "also": also},
    )


def _put_into_effect(
    draft: PolicyDraft, base: Policy, actor: User, reason: str, second: User | None = None
) -> Policy:
    made = Policy.objects.create(
        version=base.version + 1,
        rules=draft.rules,
        published_at=timezone.now(),
        published_by=actor,
        confirmed_by=second,
        reason=reason,
    )
    draft.state = State.PUBLISHED
    draft.save(update_fields=["state"])
    changes = [found.text for found in check.compare(base.rules, draft.rules)]
    trail.record(
        "policy.publish",
        actor=second or actor,
        data={"version": made.version, "draft": draft.pk, "changes": changes},
    )
    return made


def _carry_out(proposal: Proposal, second: User) -> None:
    stepup.require(second)
    _take_turns()
    draft, base = draft_for(int(proposal.payload["draft"]), lock=True), published()
    if edit_refusal(proposal.author):
        text = (
            f"{proposal.author} may not edit the policy any more. Decline it; somebody who may can"
            " propose it again."
        )
        raise Blocked([Reason("overtaken", text)])
    if wrong := publish_refusal(draft, base):
        raise Blocked(wrong)
    _put_into_effect(draft, base, proposal.author, proposal.reason, second)


def _give_back(proposal: Proposal) -> None:
    PolicyDraft.objects.filter(pk=int(proposal.payload["draft"]), state=State.PROPOSED).update(
        state=State.EDITING
    )


proposals_kind = second_person.Kind(carry_out=_carry_out, give_back=_give_back)
