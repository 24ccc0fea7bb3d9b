"""Home, health and icons."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import connection
from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from changemgmt.models import Heartbeat
from notifications.tasks import broker_answers
from pages.home import context_for
from pages.rendering.icons import sprite
from web.http import Request, problem
from web.middleware import API, answer

STALE_AFTER = timedelta(minutes=3)


@login_not_required
@require_safe
def healthz(request: Request) -> HttpResponse:
    """The process is alive."""
    return HttpResponse("ok", content_type="text/plain")


@login_not_required
@require_safe
def readyz(request: Request) -> JsonResponse:
    """`{part: {ok, …}}` for database, broker, each queue's worker and the tick; 503 while one of
    them is not all right (F6).
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        parts: dict[str, dict[str, Any]] = {"database": {"ok": cursor.fetchone() == (1,)}}
    parts["broker"] = {"ok": broker_answers(settings.CELERY_BROKER_URL)}
    beats = Heartbeat.all()
    for part, name in (("worker", "celery"), ("mail_worker", "mail"), ("tick", "tick")):
        age = abs(timezone.now() - beats[name]) if name in beats else None
        parts[part] = {
            "ok": age is not None and age < STALE_AFTER,
            "age_seconds": int(age.total_seconds()) if age is not None else None,
        }
    return JsonResponse(parts, status=200 if all(part["ok"] for part in parts.values()) else 503)


def csrf_failure(request: Request, reason: str = "") -> HttpResponse:
    return answer(
        request,
        403,
        "The form was open too long, or came from another site. Go back, reload the page and send"
        " it again.",
    )


def not_found(request: Request, exception: Exception | None = None) -> HttpResponse:
    if request.path.startswith(API):
        return problem(404, "There is nothing at this address; see /api/v1/docs.")
    return answer(request, 404, "The address leads nowhere, or to something that you cannot see.")


def bad_request(request: Request, exception: Exception | None = None) -> HttpResponse:
    if request.path.startswith(API):
        return problem(400, "The request could not be read.")
    return render(request, "400.html", status=400)


@login_not_required
@require_safe
@cache_control(public=True, max_age=31_536_000, immutable=True)
def icons(request: Request) -> HttpResponse:
    """All icons in use as one SVG of symbols; pages name one by `<use href="/icons.svg#name">`."""
    return HttpResponse(sprite(), content_type="image/svg+xml")


@require_safe
def home(request: Request) -> HttpResponse:
    return render(request, "home.html", context_for(request.user))


@require_safe
def api_docs(request: Request) -> HttpResponse:
    """The API's operations for people, from the same description that tools read."""
    from changemgmt.api import api

    groups: dict[str, list[dict[str, str]]] = {}
    for path, methods in api.get_openapi_schema()["paths"].items():
        for method, operation in methods.items():
            text = operation.get("description") or operation.get("summary", "")
            groups.setdefault(operation.get("tags", ["Other"])[0], []).append(
                {"method": method.upper(), "path": path, "text": text}
            )
    return render(request, "api_docs.html", {"groups": groups})
