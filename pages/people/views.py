"""Sign-in for the demonstration, and the pages of people, duties and tokens."""

from __future__ import annotations

from typing import Any

from allauth.account.utils import perform_login
from allauth.account.views import LoginView
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from accounts import invitations, registry, setup
from accounts.models import ApiToken, Duty, Handover, User
from accounts.roles import DUTIES, Role, label
from approvals.people import duty_handover, staffing, vacancies
from changemgmt.demo.people import PEOPLE
from language import reading
from language.refusal import Blocked, Invalid, Refused
from web.http import Fields, Request, key_of, record_refusal

PER_PAGE = 100


class SignIn(LoginView):
    """allauth's sign-in, with one click per role in the demonstration."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context_data(**kwargs) | {"demo_people": []}
        if settings.DEMO_SIGN_IN:
            found = {
                user.username: user
                for user in User.objects.filter(
                    username__in=PEOPLE, is_active=True
                ).prefetch_related("groups")
            }
            context["demo_people"] = [found[username] for username in PEOPLE if username in found]
        context["nobody_yet"] = setup.is_needed()
        return context


@login_not_required
@require_POST
def demo_sign_in(request: Request) -> HttpResponse:
    """One click per role; refused outside the demonstration, and for whoever is not one of its
    people.
    """
    username = request.POST.get("username", "")
    if not settings.DEMO_SIGN_IN or username not in PEOPLE:
        raise Http404
    user = get_object_or_404(User, username=username, is_active=True)
    target = request.POST.get("next", "")
    safe = target.startswith("/") and url_has_allowed_host_and_scheme(
        target, allowed_hosts={request.get_host()}
    )
    # By allauth's own road: a second factor is asked for where one is enrolled, and the session is
    # listed among the person's.
    answer: HttpResponse = perform_login(
        request, user, email_verification="none", redirect_url=target if safe else "/"
    )
    return answer


def settings_home(request: Request) -> HttpResponse:
    return render(request, "people/settings.html", {})


def me(request: Request) -> HttpResponse:
    """Who I am here, and how I want to be told."""
    if request.method == "POST":
        registry.prefer_mail(actor=request.user, at_once="mail_at_once" in request.POST)
        messages.success(request, "It is kept.")
        return redirect("accounts:me")
    duties = Duty.objects.current().filter(user=request.user)
    return render(request, "people/me.html", {"duties": duties})


def people(request: Request) -> HttpResponse:
    """Everybody, by name; keyset by username."""
    registry.check_administrator(request.user)
    after = request.GET.get("after", "")[:150]
    found = list(
        User.objects.filter(username__gt=after)
        .prefetch_related("groups")
        .order_by("username")[: PER_PAGE + 1]
    )
    return render(
        request, "people/people.html", {"people": found[:PER_PAGE], "more": len(found) > PER_PAGE}
    )


IDENTITY = ("username", "name", "email", "phone")


def person(request: Request, username: str = "") -> HttpResponse:
    """Make or edit a person and their roles."""
    registry.check_administrator(request.user)
    found = get_object_or_404(User, username=username) if username else None
    values: dict[str, Any] = {name: getattr(found, name, "") for name in IDENTITY}
    values |= {"is_active": found is None or found.is_active}
    values |= {"roles": found.roles if found else frozenset()}
    errors: dict[str, str] = {}
    if request.method == "POST":
        values = {name: request.POST.get(name, "").strip() for name in IDENTITY}
        values |= {"is_active": "is_active" in request.POST, "roles": request.POST.getlist("roles")}
        if found == request.user and not values["roles"]:
            values["roles"] = found.roles  # nobody changes their own: the form does not offer it
        try:
            password = request.POST.get("password", "")
            saved = registry.save_person(
                actor=request.user, person=found, password=password, **values
            )
        except Refused as refused:
            record_refusal(request, refused)
            errors = refused.fields if isinstance(refused, Invalid) else {"": str(refused)}
        else:
            messages.success(request, f"{saved} is saved.")
            if not found and saved.is_active and not saved.has_usable_password():
                _invite(request, saved)
            return redirect("accounts:people")
    roles = [(role.value, label(role), DUTIES.get(role, "")) for role in Role]
    may_invite = bool(found and invitations.is_open(found))
    context = {
        "person": found,
        "values": Fields(values),
        "errors": Fields(errors),
        "roles": roles,
        "may_invite": may_invite,
    }
    return render(request, "people/person.html", context, status=422 if errors else 200)


def _invite(request: Request, person: User) -> None:
    """Mail the link, and say whether the mail server took it; the person is saved either way."""
    try:
        messages.success(request, invitations.send(actor=request.user, person=person))
    except Blocked as refused:
        record_refusal(request, refused)
        messages.error(request, str(refused))


@require_POST
def invite(request: Request, username: str) -> HttpResponse:
    """Once more, for somebody who has never signed in."""
    registry.check_administrator(request.user)
    _invite(request, get_object_or_404(User, username=username))
    return redirect("accounts:person", username)


def duties(request: Request) -> HttpResponse:
    """The duty roster: who is on duty now, who will be, and the form to add somebody."""
    errors: dict[str, str] = {}
    if request.method == "POST":
        try:
            messages.success(request, _change_roster(request))
            return redirect("accounts:duties")
        except Invalid as refused:
            errors = refused.fields
    now = timezone.now()
    shown = (
        Duty.objects.select_related("user")
        .exclude(ends_at__lt=now)
        .order_by("kind", "order", "starts_at")[:200]
    )
    on_call = [Role.EMERGENCY_CONTACT, Role.ON_CALL_ENGINEER]
    holding = User.objects.filter(groups__name__in=on_call, is_active=True).distinct()
    mine = [duty for duty in shown if not duty_handover.refusal(duty, request.user)]
    begun = {duty.kind for duty in shown if duty.starts_at <= now}
    handed = Handover.objects.filter(answered_at__isnull=True).select_related("receiver")[:200]
    context = {
        "duties": shown,
        "holders": holding.order_by("username")[:200],
        "kinds": Duty.Kind.choices,
        "errors": Fields(errors),
        "values": Fields(request.POST),
        "missing": [kind.label for kind in Duty.Kind if kind not in begun],
        "may_keep": registry.keeps_roster(request.user),
        "to_hand_over": duty_handover.could_take(mine),
        "handed": {found.duty_id: found for found in handed},
        "offered": list(duty_handover.waiting_for(request.user)),
    }
    return render(request, "people/duties.html", context, status=422 if errors else 200)


def _change_roster(request: Request) -> str:
    """Do what the button says; returns what is said when it is done."""
    post = request.POST
    if "end" in post:
        registry.end_duty(actor=request.user, duty=get_object_or_404(Duty, pk=key_of(post["end"])))
        return "The duty has ended."
    if "hand_over" in post:
        made = duty_handover.hand_over(
            actor=request.user,
            key=key_of(post["hand_over"]),
            to=post.get("to", ""),
            note=post.get("note", ""),
        )
        return f"{made.receiver} has been told; until they take it, the duty stays where it is."
    if "take" in post:
        taken = duty_handover.take(actor=request.user, key=key_of(post["take"]))
        return f"You are on duty now: {taken.get_kind_display().lower()}."
    if "withdraw" in post:
        duty_handover.withdraw(actor=request.user, key=key_of(post["withdraw"]))
        return "Withdrawn; the duty stays where it is."
    if "decline" in post:
        duty_handover.decline(
            actor=request.user, key=key_of(post["decline"]), reason=post.get("reason", "")
        )
        return "Declined; who is on duty has been told."
    _add_duty(request)
    return "The duty is in the roster."


def _add_duty(request: Request) -> None:
    wrong: dict[str, str] = {}
    times = {}
    for name, needed in (("starts_at", True), ("ends_at", False)):
        try:
            value = request.POST.get(name, "")
            times[name] = reading.instant(value) if value or needed else None
        except reading.Wrong as problem:
            wrong[name] = f"{name.split('_')[0].capitalize()}: {problem}"
    if wrong:
        raise Invalid(fields=wrong)
    registry.add_duty(
        actor=request.user,
        kind=request.POST.get("kind", ""),
        username=request.POST.get("user", ""),
        starts_at=times["starts_at"] or timezone.now(),
        ends_at=times["ends_at"],
        order=key_of(request.POST.get("order", "1")),
    )


def tokens(request: Request) -> HttpResponse:
    """One's own API tokens; a new one's secret is shown once, on this answer."""
    errors: dict[str, str] = {}
    secret = ""
    if request.method == "POST":
        try:
            if "revoke" in request.POST:
                registry.revoke_token(
                    actor=request.user,
                    token=get_object_or_404(
                        ApiToken, pk=key_of(request.POST["revoke"]), user=request.user
                    ),
                )
                messages.success(request, "The token is revoked; it opens nothing any more.")
                return redirect("accounts:tokens")
            _, secret = registry.make_token(
                actor=request.user,
                name=request.POST.get("name", ""),
                scope=request.POST.get("scope", ""),
                days=key_of(request.POST.get("days", "0")),
            )
        except Invalid as refused:
            errors = refused.fields
    context = {
        "tokens": request.user.api_tokens.all()[:100],
        "scopes": ApiToken.Scope.choices,
        "errors": Fields(errors),
        "secret": secret,
        "values": Fields(request.POST),
    }
    return render(request, "people/tokens.html", context, status=422 if errors else 200)


@login_not_required
@sensitive_post_parameters("password")
def setup_first(request: HttpRequest, token: str) -> HttpResponse:
    """The first administrator's form, behind a link that works once; whoever sends it first is
    signed in by it.
    """
    setup.check(token)
    errors: dict[str, str] = {}
    if request.method == "POST":
        typed = {name: request.POST.get(name, "").strip() for name in ("username", "name", "email")}
        try:
            person = setup.make_administrator(
                token=token, password=request.POST.get("password", ""), **typed
            )
        except Invalid as refused:
            errors = refused.fields
        else:
            login(request, person, backend="django.contrib.auth.backends.ModelBackend")
            messages.success(
                request, "You administer this installation now. What is still missing stands below."
            )
            return redirect("home")
    context = {"errors": Fields(errors), "values": Fields(request.POST)}
    return render(request, "people/setup.html", context, status=422 if errors else 200)


@require_safe
def staffing_page(request: Request) -> HttpResponse:
    """The smallest staff for each priority's way, and which ways are dead with today's people."""
    return render(
        request,
        "people/staffing.html",
        {"paths": staffing.paths(), "single": vacancies.single_holders()},
    )
