"""The catalogue of components: what changes name, what each needs, and who usually reviews it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_safe

from accounts.roles import label
from language.refusal import Invalid
from requests import components as catalogue
from requests.models import Component
from web.http import Fields, Request

PER_PAGE = 100
TEXTS = ("slug", "name", "team", "owner", "depends_on")


@require_safe
def components(request: Request) -> HttpResponse:
    """All of them, by short name."""
    after = request.GET.get("after", "")[:60]
    rows = Component.objects.filter(slug__gt=after).select_related("owner").order_by("slug")
    found = list(rows.prefetch_related("depends_on")[: PER_PAGE + 1])
    context = {
        "components": found[:PER_PAGE],
        "more": len(found) > PER_PAGE,
        "may_manage": catalogue.may_manage(request.user),
    }
    return render(request, "components/index.html", context)


def component(request: Request, slug: str = "") -> HttpResponse:
    """Make or edit a component."""
    found = get_object_or_404(Component, slug=slug) if slug else None
    values, errors = _kept(found), dict[str, str]()
    if request.method == "POST":
        values = _typed(request)
        try:
            messages.success(request, _save(request, found, values))
        except Invalid as refused:
            errors = refused.fields
        else:
            return redirect("requests:components")
    holders = catalogue.holders().items()
    context = {
        "component": found,
        "values": Fields(values),
        "usual_roles": [(f"usual_{role}", label(role), people) for role, people in holders],
        "usual_wrong": any(name.startswith("usual_") for name in errors),
        "errors": Fields(errors),
        "may_manage": catalogue.may_manage(request.user),
    }
    return render(request, "components/component.html", context, status=422 if errors else 200)


def _kept(found: Component | None) -> dict[str, Any]:
    """What the form shows of a component."""
    if found is None:
        return {"security_review": False, "retired": False}
    usual = found.usual.values_list("role", "user__username")
    return {
        "slug": found.slug,
        "name": found.name,
        "team": found.team,
        "owner": found.owner.username if found.owner else "",
        "depends_on": ", ".join(found.depends_on.values_list("slug", flat=True)),
        "security_review": found.security_review,
        "retired": found.retired_at is not None,
        **{f"usual_{role}": username for role, username in usual},
    }


def _typed(request: Request) -> dict[str, Any]:
    names = (*TEXTS, *(f"usual_{role}" for role in catalogue.REVIEWING), "reason")
    ticked = {name: name in request.POST for name in ("security_review", "retired")}
    return {name: request.POST.get(name, "").strip() for name in names} | ticked


def _save(request: Request, found: Component | None, typed: dict[str, Any]) -> str:
    """Save what was typed; what is said of it. What would widen waits for a second person (A36)."""
    values = {name: typed[name] for name in (*TEXTS, "security_review")}
    values["depends_on"] = [item.strip() for item in typed["depends_on"].split(",") if item.strip()]
    values["usual"] = {role: typed[f"usual_{role}"] for role in catalogue.REVIEWING}
    if found and (request.POST.get("was_retired") == "yes") != typed["retired"]:
        values["retired"] = typed["retired"]  # only what this page has changed
    said = f"{typed['name']} is saved."
    if found is None:
        catalogue.save(actor=request.user, component=None, values=values)
        return said
    reason = typed["reason"]
    proposal = catalogue.edit(actor=request.user, component=found, values=values, reason=reason)
    if proposal is None:
        return said
    return f"{said} What it would widen waits for a second person: {proposal.widens[0]}"
