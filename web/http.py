"""How refusals become HTTP: the only place that knows both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, JsonResponse

from accounts.models import ApiToken, User
from audit import trail
from language.refusal import Blocked, Invalid, Missing, NotYours, Refused, Stale
from language.say import plain


class Request(HttpRequest):
    """A request of somebody signed in: what every page and operation behind the door gets."""

    user: User
    token: ApiToken | None


STATUS: dict[type[Refused], int] = {
    Missing: 404,
    NotYours: 403,
    Stale: 412,
    Invalid: 422,
    Blocked: 409,
}
TITLES = {
    400: "The request could not be read",
    401: "Sign in, or send a valid token",
    403: "This is not yours to do",
    404: "Not found",
    405: "This method is not allowed here",
    409: "Refused",
    412: "The content changed since you saw it",
    413: "Too large",
    415: "Send JSON",
    422: "Some fields need attention",
    429: "Too many requests",
    500: "Something went wrong here",
    503: "Not available for the moment",
}


class Fields(dict[str, Any]):
    """What a form's fields hold, or what is wrong with them, by name; nothing where there is
    nothing.
    """

    def __init__(self, held: Mapping[str, Any] | None = None) -> None:
        super().__init__({name: held[name] for name in held} if held else {})

    def __missing__(self, name: str) -> str:
        return ""


def key_of(text: str) -> int:
    """The whole number that an address or a form says, of at most 17 digits; 0, which nothing has
    for a key, for whatever else it says.
    """
    text = text.strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 18 else 0


def status_of(refused: Refused) -> int:
    """The HTTP status of a refusal."""
    return next((status for kind, status in STATUS.items() if isinstance(refused, kind)), 409)


def problem(
    status: int,
    detail: str = "",
    *,
    code: str = "",
    errors: dict[str, str] | None = None,
    reasons: list[Any] | None = None,
) -> JsonResponse:
    """An RFC 9457 problem answer."""
    title = TITLES.get(status, "Refused")
    body = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail or title,
        "code": code or title.lower().replace(" ", "_").replace(",", ""),
        "errors": [
            {"field": field, "message": message} for field, message in (errors or {}).items()
        ],
        "reasons": [plain(reason.as_dict()) for reason in reasons or []],
    }
    return JsonResponse(body, status=status, content_type="application/problem+json")


def problem_for(refused: Refused) -> JsonResponse:
    """A refusal as RFC 9457's problem, with its fields and reasons."""
    errors = refused.fields if isinstance(refused, Invalid) else None
    code = refused.code if refused.reasons else "invalid" if errors else "refused"
    return problem(
        status_of(refused), str(refused), code=code, errors=errors, reasons=refused.reasons
    )


def record_refusal(request: HttpRequest, refused: Refused) -> None:
    """A refused access leaves an event: who, where, why (promise 4). What was merely missing or not
    yet possible does not.
    """
    if isinstance(refused, NotYours) and request.user.is_authenticated:
        trail.record(
            "access.refused",
            actor=request.user,
            data={"path": request.path[:200], "method": request.method, "code": refused.code},
        )
