"""What all API routers share: authentication, scopes, problem answers, idempotency."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from ninja import Schema
from ninja.errors import HttpError
from ninja.security.base import AuthBase
from ninja.utils import check_csrf
from pydantic import ConfigDict, model_validator

from accounts.models import ApiToken, User
from audit import trail
from language.refusal import NotYours, Reason
from language.say import plain
from requests.models import IdempotencyKey
from web.http import problem

WRITING = {"POST", "PUT", "PATCH", "DELETE"}
SEEN_EVERY = timedelta(minutes=1)
IN_FLIGHT = timedelta(minutes=1)


class Body(Schema):
    """A request body: unknown fields are errors, and no text holds what cannot be stored."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def storable(cls, values: Any) -> Any:
        source = getattr(values, "_obj", values)
        if isinstance(source, dict):
            for name, value in source.items():
                if _holds_bad_text(value):
                    raise ValueError(f"{name} has characters that cannot be stored; remove them")
            return {
                name: value
                for name, value in source.items()
                if value is not None or not _may_be_left_out(cls, name)
            }
        return values


def _may_be_left_out(model: type[Schema], name: str) -> bool:
    """A null for an optional field says what leaving it out says."""
    found = model.model_fields.get(name)
    return found is not None and not found.is_required() and found.default is not None


class ReasonIn(Body):
    """The body that all verbs of a change share."""

    reason: str = ""
    trigger: str = ""
    duplicate_of: str = ""


def _holds_bad_text(value: Any, depth: int = 0) -> bool:
    if isinstance(value, str):
        return "\x00" in value or any("\ud800" <= letter <= "\udfff" for letter in value)
    if depth > 20:
        return True
    if isinstance(value, dict):
        return any(_holds_bad_text(item, depth + 1) for pair in value.items() for item in pair)
    if isinstance(value, list):
        return any(_holds_bad_text(item, depth + 1) for item in value)
    return False


NEEDS_A_PERSON = Reason("session_needed", "A person decides, signed in; a token cannot.")


class Door(AuthBase):
    """Bearer token, or the session with CSRF. An Authorization header settles the matter: cookies
    are then not tried.
    """

    openapi_type = "http"
    openapi_scheme = "bearer"

    def __call__(self, request: HttpRequest) -> User | None:
        header = request.headers.get("Authorization")
        if header is not None:
            return self._by_token(request, header)
        user = request.user
        if not user.is_authenticated or not user.is_active:
            return None
        if request.method in WRITING:
            _ = (
                request.body
            )  # kept, before CSRF looks for its token in a form and drains the stream
        if refused := check_csrf(request, lambda request: HttpResponse()):
            del refused
            raise HttpError(
                403,
                "The CSRF token is missing or wrong; send it as X-CSRFToken, or use a bearer"
                " token.",
            )
        request.token = None  # type: ignore[attr-defined]
        return user

    def _by_token(self, request: HttpRequest, header: str) -> User | None:
        kind, _, secret = header.partition(" ")
        token = (
            ApiToken.matching(secret.strip())
            if kind.lower() == "bearer" and secret.isascii()
            else None
        )
        if token is None:
            return None
        now = timezone.now()
        if token.last_used_at is None or now - token.last_used_at > SEEN_EVERY:
            ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
        trail.set_via(f"token:{token.pk}")
        request.user = token.user
        request.token = token  # type: ignore[attr-defined]
        self._admit(token, request)  # last: a refusal is recorded with whose token it was
        return token.user

    def _admit(self, token: ApiToken, request: HttpRequest) -> None:
        _check_scope(token, request)


class PersonsDoor(Door):
    """Of an operation that decides: the session alone, since a token never decides (contract)."""

    def _admit(self, token: ApiToken, request: HttpRequest) -> None:
        raise NotYours([NEEDS_A_PERSON])


def check_person(request: HttpRequest) -> None:
    """Within an operation of which only a part decides, as overriding a conflict does."""
    if getattr(request, "token", None) is not None:
        raise NotYours([NEEDS_A_PERSON])


#: `@router.post(…, auth=PERSON)` on every operation that decides.
PERSON = PersonsDoor()


def _check_scope(token: ApiToken, request: HttpRequest) -> None:
    """read: GET; write: all but decisions, which say so themselves (`PERSON`); gate: the gate;
    report: reports.
    """
    path, writing = request.path, request.method in WRITING
    allowed = {
        ApiToken.Scope.READ: not writing,
        ApiToken.Scope.WRITE: True,
        ApiToken.Scope.GATE: path.startswith("/api/v1/gate/"),
        ApiToken.Scope.REPORT: path.startswith("/api/v1/reports/") and not writing,
    }[ApiToken.Scope(token.scope)]
    if not allowed:
        raise NotYours(
            [Reason("scope", f"This token's scope is “{token.scope}”, which does not reach here.")]
        )


# --- idempotency ----------------------------------------------------------------------------------


def idempotent(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware for `Idempotency-Key` on API POSTs: N identical requests have one effect and one
    answer; another body is 422.

    The key's row is claimed before the work and filled after it; a server error frees it, so that
    the client can retry.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        key = request.headers.get("Idempotency-Key", "")
        if not key or request.method != "POST" or not request.path.startswith("/api/"):
            return get_response(request)
        if len(key) > 200 or not key.isprintable():
            return problem(400, "Idempotency-Key: at most 200 printable characters.")
        try:
            user = Door()(request)
            mark = hashlib.sha256(f"{request.path}\n".encode() + request.body).hexdigest()
        except RequestDataTooBig:
            return problem(413, "The body is too large.")
        except (NotYours, HttpError):
            # whoever may not ask gets no answer that was kept: the operation itself says why
            user = None
        if user is None:
            return get_response(request)
        try:
            row = _claim(user, key, mark)
        except IntegrityError:
            return _repeated(IdempotencyKey.objects.filter(user=user, key=key).first(), mark)
        try:
            response = get_response(request)
        except BaseException:
            row.delete()
            raise
        _keep(row, response)
        return response

    return middleware


def _claim(user: User, key: str, mark: str) -> IdempotencyKey:
    """The key's row, before the work. Raises IntegrityError where another request has it.

    A first request whose worker died left its key without an answer; the verbs guard themselves, so
    it may be tried again.
    """
    now = timezone.now()
    held = IdempotencyKey.objects.filter(user=user, key=key, status=0)
    held.filter(created_at__lt=now - IN_FLIGHT).delete()
    with transaction.atomic():
        return IdempotencyKey.objects.create(user=user, key=key, fingerprint=mark, created_at=now)


def _keep(row: IdempotencyKey, response: HttpResponse) -> None:
    """The answer, for whoever asks again; after a server's error, or at a door that did not open,
    nothing was done, and the key is free.
    """
    if response.status_code >= 500 or response.status_code in (400, 401, 403, 429):
        row.delete()
    else:
        row.status, row.body = response.status_code, response.content.decode()
        row.save(update_fields=["status", "body"])


def _repeated(row: IdempotencyKey | None, mark: str) -> HttpResponse:
    if row is None or (row.fingerprint == mark and not row.status):
        return problem(
            409,
            "The first request with this key is still being answered; ask again in a moment.",
            code="in_flight",
        )
    if row.fingerprint != mark:
        return problem(
            422,
            "This Idempotency-Key was used with another request; take a new one.",
            code="key_reused",
        )
    kind = "application/problem+json" if row.status >= 400 else "application/json; charset=utf-8"
    return HttpResponse(
        row.body, status=row.status, content_type=kind, headers={"Idempotent-Replay": "true"}
    )


def answer(status: int, body: Any) -> HttpResponse:
    """A JSON answer with a status other than 200."""
    return JsonResponse(plain(body), status=status)


def no_constant(name: str) -> Any:
    """Refuses NaN and Infinity, which JSON does not have."""
    raise ValueError(f"{name} is no JSON")


def body_values(request: HttpRequest) -> dict[str, Any]:
    """A JSON object as it was sent, for bodies whose fields the domain itself checks one by one."""
    if not request.body.strip():
        raise HttpError(400, "The body is empty; send a JSON object.")
    try:
        values = json.loads(request.body, parse_constant=no_constant)
    except (ValueError, RecursionError, UnicodeDecodeError):
        raise HttpError(400, "The body is not valid JSON.") from None
    if not isinstance(values, dict):
        raise HttpError(400, "Send a JSON object.")
    if _holds_bad_text(list(values)):
        raise HttpError(400, "A field's name cannot be read.")
    return values
