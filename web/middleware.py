"""What every request passes: readable input, a session that is still good, somebody signed in,
refusals said well.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from allauth.account.internal.flows.reauthentication import suspend_request
from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.core.exceptions import RequestDataTooBig
from django.db import DataError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from accounts import stepup
from audit import trail
from language.refusal import Refused
from web.http import TITLES, problem, record_refusal, status_of

log = logging.getLogger(__name__)
Handler = Callable[[HttpRequest], HttpResponseBase]
API = "/api/"
DOCS = "/api/v1/docs"  # a page, for people signed in
STAMP_EVERY = timedelta(minutes=1)
MAX_QUERY = 4000


def answer(
    request: HttpRequest, status: int, detail: str = "", refused: Refused | None = None
) -> HttpResponse:
    """A refusal in the caller's language: a problem for the API, a page for a person."""
    if request.path.startswith(API):
        return problem(status, detail)
    return render(
        request,
        "refused.html",
        {
            "title": TITLES.get(status, "Refused"),
            "detail": detail,
            "refused": refused,
            "status": status,
        },
        status=status,
    )


def healthy_input(get_response: Handler) -> Handler:
    """Addresses and cookies with characters that PostgreSQL cannot store are turned away at the
    door.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        query = request.META.get("QUERY_STRING", "")
        cookies = "".join(request.COOKIES.values())
        if (
            "\x00" in request.path
            or "%00" in query
            or "\x00" in query
            or "\x00" in cookies
            or len(query) > MAX_QUERY
        ):
            return problem(
                400,
                "The address holds characters that cannot be read, or is too long.",
                code="unreadable",
            )
        try:
            request.path.encode()
            query.encode()
        except UnicodeError:
            return problem(400, "The address is not valid UTF-8.", code="unreadable")
        return get_response(request)

    return middleware


def session_limits(get_response: Handler) -> Handler:
    """Twelve hours at most, half an hour of silence; a missing stamp is set, not refused (so
    `force_login` is a full session).
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        trail.set_via("api" if request.path.startswith(API) else "page")
        if request.user.is_authenticated:
            now = timezone.now()
            began = _stamp(request, "began") or now
            seen = _stamp(request, "seen") or now
            longest = timedelta(seconds=settings.SESSION_COOKIE_AGE)
            if now - began > longest or now - seen > settings.SESSION_IDLE_AFTER:
                logout(request)
            elif (
                "began" not in request.session
                or now - seen > STAMP_EVERY
                or "seen" not in request.session
            ):
                request.session["began"], request.session["seen"] = (
                    began.isoformat(),
                    now.isoformat(),
                )
        with stepup.answering(request):
            return get_response(request)

    return middleware


def _stamp(request: HttpRequest, name: str) -> datetime | None:
    try:
        return datetime.fromisoformat(request.session[name])
    except (KeyError, TypeError, ValueError):
        return None


class SignInRequired(LoginRequiredMiddleware):
    """Every page needs somebody signed in, unless its view says otherwise; the API answers 401 by
    itself.
    """

    def process_view(self, request, view_func, view_args, view_kwargs):  # type: ignore[no-untyped-def]
        if request.path.startswith(API) and request.path != DOCS:
            return None
        return super().process_view(request, view_func, view_args, view_kwargs)


class Refusals:
    """A refusal that no view has handled becomes a page that says what, why and what to do; a lost
    database a 503.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if response.status_code == 405 and request.path.startswith(API):
            refusal = problem(405, f"{request.method} is not possible here.")
            refusal["Allow"] = response.get("Allow", "")
            return refusal
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(
            exception, stepup.StepUpNeeded
        ):  # asks for the second factor, then goes on with what was posted
            return suspend_request(request, reverse("mfa_reauthenticate"))
        if isinstance(exception, Refused):
            record_refusal(request, exception)
            return answer(request, status_of(exception), str(exception), exception)
        unreadable = isinstance(exception, ValueError) and "NUL" in str(
            exception
        )  # psycopg2's word for it
        if unreadable or isinstance(exception, (DataError, RequestDataTooBig, UnicodeEncodeError)):
            log.error("A value got through: %s", exception)
            return answer(
                request,
                400,
                "Something sent cannot be stored: it is too large, or holds unusual characters. Go"
                " back, shorten it, and send it again.",
            )
        if isinstance(exception, OperationalError):
            log.error("Database: %s", exception)
            return problem(
                503,
                "The database did not answer in time. Nothing was recorded; try again in a moment.",
                code="database",
            )
        return None
