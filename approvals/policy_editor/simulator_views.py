"""Trying the policy: give facts, see the steps and who could decide them today."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.models import User
from approvals.policy import check, policy
from approvals.policy_editor import drafts, trial
from requests import risk
from requests.models import Component
from web.http import Fields, Request, key_of


def _components(typed: str, errors: dict[str, str]) -> dict[str, Component]:
    slugs = [slug.strip() for slug in typed.split(",") if slug.strip()][:50]
    found = {component.slug: component for component in Component.objects.filter(slug__in=slugs)}
    if unknown := [slug for slug in slugs if slug not in found]:
        remedy = "take the names from the list of components."
        errors["components"] = f"Components: there is no {unknown[0][:60]}; {remedy}"
    return found


@require_safe
def simulator(request: Request) -> HttpResponse:
    """Give facts, see the steps and who could decide them today."""
    get = request.GET
    errors: dict[str, str] = {}
    key = key_of(get.get("draft", ""))
    found = drafts.draft_for(key) if key else None
    rules = found.rules if found else drafts.published().rules
    components = _components(get.get("components", ""), errors)
    username = get.get("requester", "").strip()
    requester = User.objects.filter(username=username).first() if username else None
    if username and requester is None:
        errors["requester"] = "Requester: nobody has that user name; leave it empty for anybody."
    facts = policy.Facts(
        priority=get.get("priority", "") if get.get("priority", "") in check.PRIORITIES else "P2",
        security_answers="security" in get,
        security_component=any(component.security_review for component in components.values()),
        downtime="downtime" in get,
        users_affected="users" in get,
        risk=get.get("risk", "") if get.get("risk", "") in risk.LEVELS else "low",
        components=frozenset(components),
    )
    wrong = check.problems(rules, drafts.component_slugs())
    context = {
        "draft": found,
        "facts": facts,
        "stages": [] if wrong or errors else trial.simulate(rules, facts, requester),
        "wrong": wrong,
        "errors": Fields(errors),
        "values": Fields(get),
        "priorities": check.PRIORITIES,
        "levels": risk.LEVELS,
    }
    return render(
        request, "approvals/policy_editor/simulator.html", context, status=422 if errors else 200
    )
