"""The approval policy: read by everybody, edited as a draft by change managers, tried out on past
changes and on given facts.
"""

from __future__ import annotations

import re
from itertools import count
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts.roles import label
from approvals.models import Policy, PolicyDraft
from approvals.policy import check, policy
from approvals.policy.quorum import Quorum
from approvals.policy_editor import drafts, publishing, trial
from language.refusal import Invalid, Missing, Reason, Refused
from proposals.models import Proposal
from web.http import Request, key_of, record_refusal, status_of

PER_PAGE = 20
DAYS = (30, 90, 365)


@require_safe
def index(request: Request) -> HttpResponse:
    return _show_version(request, drafts.published())


@require_safe
def version(request: Request, version: int) -> HttpResponse:
    return _show_version(request, get_object_or_404(Policy, version=version))


def _show_version(request: Request, shown: Policy) -> HttpResponse:
    """One version, what it changed, and beside it the others and the drafts."""
    before = Policy.objects.filter(version__lt=shown.version).order_by("-version").first()
    context = {
        "shown": shown,
        "current": drafts.published(),
        "priorities": _described(shown.rules),
        "differences": check.compare(before.rules, shown.rules) if before else [],
        "versions": (
            Policy.objects.select_related("published_by", "confirmed_by").order_by("-version")[
                :PER_PAGE
            ]
        ),
        "drafts": (
            PolicyDraft.objects.filter(state__in=["editing", "proposed"]).select_related("author")[
                :PER_PAGE
            ]
        ),
        "may_edit": not drafts.edit_refusal(request.user),
    }
    return render(request, "approvals/policy_editor/index.html", context)


# --- drafts ---------------------------------------------------------------------------------------


@require_POST
def start(request: Request) -> HttpResponse:
    """A new draft of the published policy."""
    try:
        return redirect(drafts.start(actor=request.user, title=request.POST.get("title", "")))
    except Invalid as refused:
        messages.error(request, str(refused))
        return redirect("approvals:policy")


@require_safe
def draft(request: Request, key: int) -> HttpResponse:
    return _show_draft(request, key)


def _show_draft(request: Request, key: int, refused: Refused | None = None) -> HttpResponse:
    """The editor; after a refusal with what was typed, and why."""
    found, current = drafts.draft_for(key), drafts.published()
    may_edit = not drafts.edit_refusal(request.user, found)
    about = Proposal.objects.filter(kind=drafts.KIND, payload__draft=found.pk).select_related(
        "answered_by"
    )
    typed = _typed(request) if refused and "kind" not in request.POST else None
    context = {
        "draft": found,
        "current": current,
        "priorities": _described(found.rules, typed),
        "differences": check.compare(current.rules, found.rules),
        "wrong": check.problems(found.rules, drafts.component_slugs()),
        "stands": drafts.publish_refusal(found, current),
        "may_edit": may_edit,
        "proposal": about.filter(state="open").first(),
        "refused": refused,
        "refused_at": request.POST.get("place", "") if refused else "",
        "meanwhile": (
            check.compare(found.based_on.rules, current.rules)
            if found.based_on_id != current.pk
            else []
        ),
        "stuck": trial.warnings(found.rules) if may_edit else [],
        "declined": about.filter(state="declined").first(),
        "reason": request.POST.get("reason", ""),
        "kinds": [
            (kind, words) for kind, words in policy.KIND_LABELS.items() if kind != policy.EMERGENCY
        ],
        "roles": [(role.value, label(role)) for role in check.DECIDING_ROLES],
        "triggers": list(policy.TRIGGERS.items()),
        "most_people": check.MOST_PEOPLE,
    }
    status = status_of(refused) if refused else 200
    return render(request, "approvals/policy_editor/draft.html", context, status=status)


def _described(
    rules: dict[str, Any], typed: tuple[str, dict[str, Any]] | None = None
) -> list[dict[str, Any]]:
    """The rules as pages show them: priority → stages → steps, each with its place; `typed` are the
    values of a step refused just now.
    """
    return [_priority(priority, rules[priority], typed) for priority in check.PRIORITIES]


def _priority(
    name: str, rule: dict[str, Any], typed: tuple[str, dict[str, Any]] | None
) -> dict[str, Any]:
    is_emergency = name == policy.EMERGENCY_PRIORITY
    return {
        "name": name,
        "stages": [_stage(name, number, stage, typed) for number, stage in _stages(rule)],
        "starts_before": rule.get("starts_before", True) if is_emergency else None,
        "next_stage": len(rule["stages"]) + 1,
        "others": [other for other in check.PRIORITIES[1:] if other != name and not is_emergency],
    }


def _stage(
    priority: str,
    number: int,
    stage: list[dict[str, Any]],
    typed: tuple[str, dict[str, Any]] | None,
) -> dict[str, Any]:
    kinds = (step["kind"] for step in stage)
    return {
        "number": number,
        "missing": _missing(stage, number),
        "label": policy.stage_label(kinds) if number else "Owed afterwards",
        "steps": [
            _step(f"{priority}-{number}-{index}", step, typed) for index, step in enumerate(stage)
        ],
    }


def _missing(stage: list[dict[str, Any]], number: int) -> list[tuple[str, str]]:
    """The kinds of step that a stage may still get; only reviews are owed after an emergency."""
    taken = (
        {step["kind"] for step in stage}
        | {policy.EMERGENCY}
        | ({policy.SIGN_OFF} if number == 0 else set())
    )
    return [(kind, words) for kind, words in policy.KIND_LABELS.items() if kind not in taken]


def _stages(rules: dict[str, Any]) -> list[tuple[int, list[dict[str, Any]]]]:
    return [
        *enumerate(rules["stages"], start=1),
        *([(0, rules["deferred"])] if rules["deferred"] else []),
    ]


def _step(
    place: str, step: dict[str, Any], typed: tuple[str, dict[str, Any]] | None
) -> dict[str, Any]:
    opened = typed is not None and typed[0] == place
    values = {**step, **typed[1]} if typed and opened else step
    return {
        "place": place,
        "open": opened,
        "label": policy.KIND_LABELS[step["kind"]],
        "people": Quorum(step["mode"], tuple(step["roles"]), step["needed"]).words(),
        "when": " or ".join(policy.trigger_words(trigger) for trigger in step["when"]),
        "rule": values,
        "typed": (
            {"needed": step["needed"], **{name: step[name] for name in policy.HOURS}}
            | (values.get("typed", {}) if opened else {})
        ),
        "at": (
            f"{policy.KIND_LABELS[step['kind']].lower()} of {place[:2]}, "
            + (f"stage {place[3]}" if place[3] != "0" else "owed afterwards")
        ),
        "is_emergency": step["kind"] == policy.EMERGENCY,
        "components": ", ".join(
            t.removeprefix(policy.COMPONENT)
            for t in values["when"]
            if t.startswith(policy.COMPONENT)
        ),
        "lines": "\n".join(
            f"{item['key']}{'!' if item.get('always') else ''}: {item['text']}"
            for item in values["checklist"]
        ),
    }


def edit(request: Request, key: int) -> HttpResponse:
    """One edit, as the button says; refused, the editor comes back with what was typed."""
    if request.method != "POST":  # somebody opens the address of a refusal again
        return redirect("approvals:policy_draft", key=key)
    try:
        drafts.edit(
            actor=request.user,
            key=key,
            revision=_number("revision", request),
            change=_edit(request),
        )
        messages.success(request, "Saved.")
    except Refused as refused:
        if isinstance(refused, Missing):
            raise
        record_refusal(request, refused)
        return _show_draft(request, key, refused)
    return redirect(f"/settings/policy/drafts/{key}/#{request.POST.get('priority', '')[:2]}")


def _edit(request: Request) -> drafts.Edit:
    post = request.POST
    verb, priority = post.get("verb", ""), post.get("priority", "")
    match verb:
        case "save":
            return _saved(request)
        case "remove":
            return drafts.remove_step(_place(request))
        case "move":  # with what was typed beside the button
            return drafts.together(
                _saved(request), drafts.move_step(_place(request), _number("to", request))
            )
        case "add":
            return drafts.add_step(priority, _number("stage", request), post.get("kind", ""))
        case "add_stage":
            return drafts.add_stage(priority, post.get("kind", ""))
        case "starts_before":
            return drafts.starts_before(post.get("allowed") == "yes")
        case "copy":
            return drafts.copy_priority(priority, post.get("source", ""))
    raise Invalid(fields={"verb": "Choose one of the page's buttons."})


def _saved(request: Request) -> drafts.Edit:
    values = _typed(request)[1]
    return drafts.save_step(
        _place(request), {name: value for name, value in values.items() if name != "typed"}
    )


def _place(request: Request) -> drafts.Place:
    found = re.fullmatch(r"(P[0-3])-(\d{1,2})-(\d{1,2})", request.POST.get("place", ""))
    if found is None:
        raise Missing([Reason("missing", "There is no such step.")])
    return found[1], int(found[2]), int(found[3])


def _number(name: str, request: Request) -> int:
    return key_of(request.POST.get(name, ""))


def _typed(request: Request) -> tuple[str, dict[str, Any]]:
    """A step's values as typed: its place, and the values in the policy's shape. A number that
    cannot be read is 0, which is refused.
    """
    post = request.POST
    slugs = [slug.strip() for slug in post.get("components", "").split(",") if slug.strip()]
    values: dict[str, Any] = {
        "roles": list(dict.fromkeys(post.getlist("roles"))),
        "mode": "all" if post.get("mode") == "all" else "any",
        "needed": 1 if post.get("mode") == "all" else _number("needed", request),
        "when": [
            *dict.fromkeys(post.getlist("when")),
            *(policy.COMPONENT + slug[:100] for slug in dict.fromkeys(slugs)),
        ],
        "checklist": _items(post.get("checklist", "")),
    }
    if "due_hours" in post:
        values |= {
            name: _number(name, request) if post.get(name, "").strip() else None
            for name in policy.HOURS
        }
    # As typed, for the form that comes back after a refusal.
    return post.get("place", ""), values | {
        "typed": {name: post.get(name, "") for name in ("needed", *policy.HOURS)}
    }


def _items(text: str) -> list[dict[str, Any]]:
    """One checklist item per line, “T1: its words”; a line without a key gets the next that is
    free. “T1!:” is never not applicable.
    """
    lines = [line.strip() for line in text.replace("\x00", "").splitlines() if line.strip()]
    split = [
        (
            found.groups()
            if (found := re.match(r"([A-Z]\d{1,2})(!?)[:)]\s*(\S.*)", line))
            else ("", "", line)
        )
        for line in lines
    ]
    letter = next((key[0] for key, _, _ in split if key), "C")
    taken = {key for key, _, _ in split} | {policy.NO_SECURITY["key"]}
    free = (key for n in count(1) if (key := f"{letter}{n}") not in taken)
    return [
        {"key": key or next(free), "text": words, **({"always": True} if mark else {})}
        for key, mark, words in split
    ]


def publish(request: Request, key: int) -> HttpResponse:
    """Publish, discard, or bring in what was published meanwhile."""
    if (
        request.method != "POST"
    ):  # also where a second factor was confirmed, and the button pressed in another tab
        messages.info(request, "Nothing was recorded; press the button again.")
        return redirect("approvals:policy_draft", key=key)
    try:
        match request.POST.get("verb", ""):
            case "discard":
                drafts.discard(actor=request.user, key=key)
                messages.success(request, "The draft is discarded.")
                return redirect("approvals:policy")
            case "rebase":
                drafts.rebase(actor=request.user, key=key)
                return redirect("approvals:policy_draft", key=key)
            case _:
                made = publishing.publish(
                    actor=request.user,
                    key=key,
                    revision=_number("revision", request),
                    reason=request.POST.get("reason", ""),
                )
    except Refused as refused:
        if isinstance(refused, Missing):
            raise
        record_refusal(request, refused)
        return _show_draft(request, key, refused)
    if isinstance(made, Proposal):
        messages.success(
            request,
            "It allows more than before, so a second person confirms it; those who could have been"
            " told.",
        )
        return redirect(made)
    messages.success(
        request, f"Version {made.version} counts for every round that opens from now on."
    )
    return redirect("approvals:policy")


@require_safe
def tried(request: Request, key: int) -> HttpResponse:
    """What the draft would have asked of real past changes, against the published policy."""
    found, current = drafts.draft_for(key), drafts.published()
    wanted = request.GET.get("days", "")
    days = int(wanted) if wanted in {str(count) for count in DAYS} else 90
    wrong = check.problems(found.rules, drafts.component_slugs())
    result = (
        None if wrong else trial.on_past_changes(current.rules, found.rules, request.user, days)
    )
    context = {
        "draft": found,
        "current": current,
        "trial": result,
        "wrong": wrong,
        "days": DAYS,
        "chosen": days,
    }
    return render(request, "approvals/policy_editor/trial.html", context)
