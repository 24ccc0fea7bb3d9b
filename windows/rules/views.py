"""The calendar's rules: read by everybody, edited by the change manager with the consequence before
their eyes; lockdown; import.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from language import reading
from language.refusal import Invalid, Missing, Refused, raise_refusal
from proposals import second_person
from proposals.models import Proposal
from web.http import Fields, Request, key_of, record_refusal, status_of
from windows.calendar import days
from windows.calendar.recurrence import PLANNED, Occurrence, Window
from windows.calendar.verdict import HORIZON, closure_occurrences
from windows.models import Closure, MaintenanceWindow
from windows.pages.asked import ZONES
from windows.rules import consequences, fields, forms, lockdown, rules
from windows.rules.wording import MONTHS, NTH, WEEKDAYS, say, say_for

PER_PAGE = 30
SHOWN_NEXT = 14
REPEATS = [
    ("weekly", "Weekly"),
    ("daily", "Daily"),
    ("monthly", "Monthly, by weekday"),
    ("rule", "By a rule of its own"),
]
NAMES = {
    "window": "maintenance window",
    "opening": "one-off opening",
    "closing": "freeze or blackout",
}


@require_http_methods(["GET", "HEAD", "POST"])
def index(request: Request) -> HttpResponse:
    """Every rule in force, what waits for a second person, and what was edited lately; posted, they
    are found right as they are.
    """
    if request.method == "POST":
        rules.confirm(actor=request.user)
        messages.success(
            request, "The rules are yours as they stand; the trail says that you looked."
        )
        return redirect("windows:rules")
    now = timezone.now()
    windows = list(MaintenanceWindow.objects.in_force().select_related("made_by"))
    closures = list(Closure.objects.in_force().exclude(kind="lockdown").select_related("made_by"))
    ended = [*_ended(MaintenanceWindow), *_ended(Closure)]
    context = {
        "groups": [
            ("Maintenance windows", "window", [_line(row) for row in windows if row.rule]),
            (
                "One-off openings",
                "opening",
                [_line(row) for row in windows if not row.rule and _is_ahead(row)],
            ),
            (
                "Freezes and blackouts",
                "closing",
                [_line(row) for row in closures if not row.ends_at or row.ends_at > now],
            ),
        ],
        "waiting": (
            Proposal.objects.filter(kind=rules.KIND, state="open")
            .select_related("author")
            .order_by("id")[:PER_PAGE]
        ),
        "ended": sorted(ended, key=lambda row: row.till, reverse=True)[:10],
        "lockdowns": lockdown.in_force(),
        "may_edit": not rules.edit_refusal(request.user),
        "not_looked_at": not rules.is_looked_at(),
    }
    return render(request, "windows/rules/rules.html", context)


def _ended(model: type[MaintenanceWindow] | type[Closure]) -> list[Any]:
    rows = (
        model.objects.filter(till__isnull=False).select_related("ended_by").order_by("-till")[:10]
    )
    for row in rows:
        row.said = say(row)
    return list(rows)


def _is_ahead(row: MaintenanceWindow) -> bool:
    return (
        next(iter(row.value().occurrences(timezone.now(), timezone.now() + HORIZON)), None)
        is not None
    )


def _line(row: MaintenanceWindow | Closure) -> dict[str, Any]:
    now = timezone.now()
    coming = next(iter(row.value().occurrences(now, now + HORIZON)), None)
    kind = "window" if isinstance(row, MaintenanceWindow) else "closure"
    return {"row": row, "kind": kind, "said": say(row), "whom": say_for(row), "next": coming}


# --- the editor -----------------------------------------------------------------------------------


def new(request: Request, kind: str) -> HttpResponse:
    """A new rule: what it would do is shown while it is typed, and again before it is saved."""
    if kind not in forms.KINDS:
        raise Http404
    if request.method == "POST":
        return _saved(request, kind, None)
    shown = forms.shown(kind, None)
    preset = {
        name: request.GET[name][:200]
        for name in ("name", "begins_day", "begins_time", "minutes", "scope", "reason")
        if name in request.GET
    }
    return _editor(request, kind, None, shown | preset)


def edit(request: Request, model: str, key: int) -> HttpResponse:
    """A rule in force."""
    if model not in rules.MODELS:
        raise Http404
    found = rules.MODELS[model].objects.filter(pk=key).first()
    if found is not None and found.till is not None and request.method != "POST":
        return _as_it_is_now(request, model, found)
    row = rules.row_of(model, key)
    kind = "closing" if isinstance(row, Closure) else "window" if row.rule else "opening"
    if isinstance(row, Closure) and row.kind == "lockdown":
        return redirect("windows:lockdown")
    if request.method == "POST":
        return _saved(request, kind, row)
    return _editor(request, kind, row, forms.shown(kind, row))


def _as_it_is_now(request: Request, model: str, old: MaintenanceWindow | Closure) -> HttpResponse:
    """The address of an earlier version: on to the one in force, or to the list, which says who
    ended it.
    """
    current = next(
        (row for row in rules.MODELS[model].objects.in_force() if row.first_key == old.first_key),
        None,
    )
    if current is not None:
        return redirect("windows:rule", model=model, key=current.pk)
    messages.info(
        request, f"“{old.name}” was ended{f' by {old.ended_by}' if old.ended_by else ''}."
    )
    return redirect("windows:rules")


def _saved(request: Request, kind: str, row: MaintenanceWindow | Closure | None) -> HttpResponse:
    """Save, or end, what the form says. A refusal shows the form again with everything that was
    typed.
    """
    typed = forms.typed(request.POST)
    ends = request.POST.get("intent") == "end" and row is not None
    edit = rules.Edit(
        forms.KINDS[kind], row.pk if row else None, None if ends else forms.values(kind, typed)
    )
    try:
        raise_refusal(rules.edit_refusal(request.user))
        reason = reading.said(
            "reason",
            request.POST.get("reason", ""),
            "Reason",
            "say why; whoever looks at the calendar reads it.",
        )
        found = consequences.consequence([edit], request.user)
        if (ends or (found.displaced_count and not found.widens)) and request.POST.get(
            "seen"
        ) != str(found.displaced_count):
            return _editor(request, kind, row, typed, asks=found, ends=ends)
        proposal = rules.save(actor=request.user, edits=[edit], reason=reason)
    except Refused as refused:
        record_refusal(request, refused)
        return _editor(request, kind, row, typed, refused)
    if proposal:
        messages.success(
            request,
            "It allows more than now, so it waits for a second person; whoever can confirm it has"
            " been told.",
        )
        return redirect(proposal)
    messages.success(request, f"It is in effect. {_lost(found.displaced_count)}")
    return redirect("windows:rules")


def _lost(count: int) -> str:
    if not count:
        return "Nobody loses a slot."
    which = f"{count} changes lose their slots" if count > 1 else "1 change loses its slot"
    return f"{which}; their people are told."


#: What the form of a recurrence offers: values with their words.
RECURRENCE = {
    "repeats": REPEATS,
    "weekdays": list(WEEKDAYS.items()),
    "weekday_numbers": list(enumerate(WEEKDAYS.values())),
    "months": list(enumerate(MONTHS, start=1)),
    "nths": list(NTH.items()),
}


def _editor(
    request: Request,
    kind: str,
    row: MaintenanceWindow | Closure | None,
    typed: dict[str, Any],
    refused: Refused | None = None,
    *,
    asks: consequences.Consequence | None = None,
    ends: bool = False,
) -> HttpResponse:
    """The form; with `asks` it says what would happen and asks once more, before anybody loses a
    slot or a rule ends.
    """
    zone, ends_of = typed.get("zone", "UTC"), ("first", "last")
    context = {
        "kind": kind,
        "model": forms.KINDS[kind],
        "what": NAMES[kind],
        "row": row,
        "said": say(row) if row else "",
        "values": Fields(typed),
        "errors": Fields(refused.fields if isinstance(refused, Invalid) else {}),
        "refused": refused,
        "may_edit": not rules.edit_refusal(request.user),
        "zones": ZONES if zone in ZONES else (*ZONES, zone),
        **RECURRENCE,
        "priorities": PLANNED,
        "countries": days.countries(),
        "holidays": {at: days.holiday_names(typed.get(f"{at}_country", "")) for at in ends_of},
        **NO_CONSEQUENCE,
        "versions": _versions(row),
        "asks": asks,
        "ends": ends,
    }
    key = row.pk if row else None
    found = {"consequence": asks} if asks else _consequence(request, kind, key, typed, strict=False)
    status = status_of(refused) if refused else 200
    return render(request, "windows/rules/rule.html", context | found, status=status)


def _versions(row: MaintenanceWindow | Closure | None) -> list[Any]:
    """The rule's earlier versions, the newest first."""
    if row is None:
        return []
    model = type(row)
    found = (
        model.objects.filter(till__isnull=False)
        .select_related("made_by", "ended_by")
        .order_by("-id")
    )
    lines = list((found.filter(line=row.first_key) | found.filter(pk=row.first_key))[:10])
    for line in lines:
        line.said = say(line)
    return lines


@require_POST
def preview(request: Request, kind: str) -> HttpResponse:
    """While somebody types: what the rule would do, or what is still missing. Nothing is stored."""
    if kind not in forms.KINDS:
        raise Http404
    typed = forms.typed(request.POST)
    key = key_of(request.POST.get("key", ""))
    context = {
        "countries_of": {
            name: days.holiday_names(typed.get(f"{name}_country", "")) for name in ("first", "last")
        },
        "is_closing": kind == "closing",
        "may_edit": not rules.edit_refusal(request.user),
        **_consequence(request, kind, key or None, typed, strict=True),
    }
    return render(request, "windows/rules/rule_preview.html", context)


#: What a page says of a rule that nobody has written yet.
NO_CONSEQUENCE: dict[str, Any] = {
    "consequence": None,
    "occurrences": [],
    "occurrence_count": 0,
    "is_past": False,
    "missing": {},
}


def _consequence(
    request: Request, kind: str, key: int | None, typed: dict[str, Any], *, strict: bool
) -> dict[str, Any]:
    """The consequence of what is typed so far, the occurrences of the year ahead, or what keeps it
    from being a rule.
    """
    edit = rules.Edit(forms.KINDS[kind], key, forms.values(kind, typed))
    if not strict and not typed.get("name"):
        return NO_CONSEQUENCE
    try:
        values = fields.clean(edit.kind, edit.values or {})
        now = timezone.now()
        rule = fields.version(edit.kind, values).value()
        occurrences = list(rule.occurrences(now, now + timedelta(days=365)))
        found = consequences.consequence([edit], request.user)
    except Invalid as refused:
        return NO_CONSEQUENCE | {"missing": refused.fields}
    except (Missing, Refused) as refused:
        return NO_CONSEQUENCE | {"missing": {"": str(refused)}}
    return {
        "consequence": found,
        "occurrences": [
            (occurrence, _shut_by(occurrence, found)) for occurrence in occurrences[:SHOWN_NEXT]
        ],
        "occurrence_count": len(occurrences),
        "is_past": next(iter(rule.occurrences(now, now + fields.LOOKED_AHEAD)), None) is None,
        "missing": {},
    }


def _shut_by(occurrence: Occurrence, found: consequences.Consequence) -> str:
    """What takes the whole of a window occurrence, in words."""
    if not isinstance(occurrence.rule, Window):
        return ""
    over = closure_occurrences(found.after, occurrence.start, occurrence.end)
    whole = [c for c in over if c.start <= occurrence.start and occurrence.end <= c.end]
    names = [
        c.name
        for c in whole
        if all(c.shuts(priority, occurrence.rule.scope) for priority in occurrence.priorities)
    ]
    return ", ".join(names)


@require_safe
def proposed(request: Request, key: int) -> HttpResponse:
    """What a proposal about the calendar would do, as things stand now, for whoever is to confirm
    it.
    """
    proposal = get_object_or_404(Proposal.objects.select_related("author"), pk=key, kind=rules.KIND)
    edits = [rules.Edit(**edit) for edit in proposal.payload["edits"]]
    may_answer = not second_person.answer_refusal(proposal, request.user)
    context: dict[str, Any] = {
        "proposal": proposal,
        "lines": [],
        "may_answer": may_answer,
        "may_edit": False,
        **NO_CONSEQUENCE,
        "overtaken": "",
    }
    try:
        context["lines"] = [_proposed_line(edit) for edit in edits]
        context["consequence"] = (
            consequences.consequence(edits, request.user)
            if proposal.state == Proposal.State.OPEN
            else None
        )
    except Refused as refused:
        context["overtaken"] = str(refused)
    return render(request, "windows/rules/proposed.html", context)


def _proposed_line(edit: rules.Edit) -> dict[str, Any]:
    """An edit in words: the rule before and after."""
    model = rules.MODELS[edit.kind]
    before = model.objects.filter(pk=edit.key).first() if edit.key else None
    after = (
        fields.version(edit.kind, fields.clean(edit.kind, edit.values))
        if edit.values is not None
        else None
    )
    return {
        "name": after.name if after else before.name if before else "",
        "before": f"{say(before)}; {say_for(before)}" if before else "",
        "after": f"{say(after)}; {say_for(after)}" if after else "",
    }
