"""`/api/v1/`: the routers of all apps, one way to refuse, one description."""

from __future__ import annotations

import json
import logging
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.db import DataError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.openapi.schema import OpenAPISchema
from ninja.parser import Parser
from ninja.renderers import BaseRenderer

from accounts.api import router as accounts_router
from accounts.stepup import StepUpNeeded
from approvals.deciding.api import router as approvals_router
from audit.api import router as audit_router
from implementation.api import router as implementation_router
from language.refusal import Refused
from language.say import plain
from pages.changes.api import router as requests_router
from proposals.api import router as proposals_router
from reports.api import router as reports_router
from web.doors import Door, no_constant
from web.http import TITLES, problem, problem_for, record_refusal
from windows.api import router as windows_router
from windows.rules.api import router as rules_router

log = logging.getLogger(__name__)
DEEPEST = 20


class Json(BaseRenderer):
    media_type = "application/json"

    def render(self, request: HttpRequest, data: Any, *, response_status: int) -> bytes:
        return json.dumps(plain(data), ensure_ascii=False, default=str).encode()


class CarefulParser(Parser):
    """JSON that is broken, or nested without end, is the sender's mistake, not ours."""

    def parse_body(self, request: HttpRequest) -> Any:
        try:
            return json.loads(request.body, parse_constant=no_constant)
        except (ValueError, RecursionError, UnicodeDecodeError):
            raise HttpError(400, "The body is not valid JSON.") from None


class Api(NinjaAPI):
    def get_openapi_schema(self, **kwargs: Any) -> OpenAPISchema:
        """The description, with the problem answers that every operation may give."""
        schema = super().get_openapi_schema(**kwargs)
        schema["components"].setdefault("schemas", {})["Problem"] = PROBLEM
        answer = {
            "content": {
                "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
            }
        }
        for methods in schema["paths"].values():
            for operation in methods.values():
                operation["responses"] = {
                    str(code): body for code, body in operation["responses"].items()
                }
                for status in (400, 401, 403, 404, 409, 412, 422, 429):
                    operation["responses"].setdefault(
                        str(status), {"description": TITLES[status], **answer}
                    )
        return schema


PROBLEM = {
    "type": "object",
    "description": "RFC 9457 problem details.",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
        "reasons": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "code": {"type": "string"},
                    "rule": {"type": "string"},
                    "message": {"type": "string"},
                    "until": {"type": ["string", "null"]},
                    "next_allowed_at": {"type": ["string", "null"]},
                    "override_roles": {"type": "array", "items": {"type": "string"}},
                },
            },
        },
    },
}

api = Api(
    title="Change Management",
    version="1",
    docs_url=None,
    openapi_url="/openapi.json",
    auth=Door(),
    renderer=Json(),
    parser=CarefulParser(),
    description=(
        "Changes, approvals, calendar, gate, evidence and reports. Times are ISO 8601 UTC;"
        " durations whole minutes."
    ),
    urls_namespace="api",
)
ROUTERS = (
    *(requests_router, approvals_router, windows_router, rules_router, implementation_router),
    *(reports_router, proposals_router, audit_router, accounts_router),
)
for router in ROUTERS:
    api.add_router("", router)


@api.exception_handler(Refused)
def on_refused(request: HttpRequest, refused: Refused) -> HttpResponse:
    record_refusal(request, refused)
    return problem_for(refused)


@api.exception_handler(StepUpNeeded)
def on_step_up(request: HttpRequest, needed: StepUpNeeded) -> HttpResponse:
    return problem(403, str(needed), code="reauthenticate")


@api.exception_handler(ValidationError)
def on_invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    errors = {}
    for item in error.errors:
        places = [str(place) for place in item["loc"] if place not in ("body", "query", "path")]
        where = (
            ".".join(places[1:] if places and places[0] == "body" and len(places) > 1 else places)
            or "body"
        )
        errors[where] = f"{where}: {item['msg'].removeprefix('Value error, ')}."
    if any(item["loc"] and item["loc"][0] == "path" for item in error.errors):
        return problem(404, "There is nothing at this address.")
    return problem(422, " ".join(errors.values()), code="invalid", errors=errors)


@api.exception_handler(HttpError)
def on_http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    return problem(error.status_code, str(error))


@api.exception_handler(AuthenticationError)
def on_anonymous(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    answer = problem(401, "Send a valid token as “Authorization: Bearer …”, or sign in.")
    answer["WWW-Authenticate"] = "Bearer"
    return answer


@api.exception_handler(Http404)
def on_missing(request: HttpRequest, error: Http404) -> HttpResponse:
    return problem(404, "There is nothing at this address.")


@api.exception_handler(RequestDataTooBig)
def on_too_big(request: HttpRequest, error: RequestDataTooBig) -> HttpResponse:
    return problem(413, "Send at most 2.5 MB.")


@api.exception_handler(DataError)
def on_data(request: HttpRequest, error: DataError) -> HttpResponse:
    """The last net: a value that passed every check and that the database still cannot hold."""
    log.error("A value got through: %s", error)
    return problem(
        422,
        "A value cannot be stored as it is; shorten it or remove unusual characters.",
        code="invalid",
    )


@api.exception_handler(OperationalError)
def on_database(request: HttpRequest, error: OperationalError) -> HttpResponse:
    log.error("Database: %s", error)
    return problem(
        503,
        "The database did not answer in time. Nothing was recorded; try again in a moment.",
        code="database",
    )
