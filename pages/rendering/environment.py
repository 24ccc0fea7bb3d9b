"""The templates' environment: Jinja2, strict. What a template may call stands in this folder, and
is found by itself.

A name that nobody handed in, and a method that nobody called, are errors in development and tests;
in production the first is logged and shows nothing.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from types import FunctionType, ModuleType
from typing import Any

from django.conf import settings
from django.template import defaultfilters
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from jinja2 import (
    ChainableUndefined,
    Environment,
    StrictUndefined,
    Undefined,
    make_logging_undefined,
    pass_context,
    select_autoescape,
)
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream
from jinja2.runtime import Context

from pages.rendering import diffs, icons, instants, markup, words

log = logging.getLogger(__name__)

#: Of Django's own filters those that the templates use; they know plurals and how a line breaks.
DJANGO_FILTERS = ("capfirst", "floatformat", "linebreaksbr", "pluralize", "truncatechars")


def environment(**options: Any) -> Environment:
    """What `settings.TEMPLATES` names. Plain texts (mails) are not escaped, everything else is."""
    options |= {
        "autoescape": select_autoescape(
            disabled_extensions=("txt",), default=True, default_for_string=True
        ),
        "undefined": (
            StrictUndefined
            if settings.TEMPLATES_STRICT
            else make_logging_undefined(log, ChainableUndefined)
        ),
        "finalize": refuse_callables,
        "trim_blocks": True,
        "lstrip_blocks": True,
        "extensions": [Indentation],
    }
    made = Environment(**options)  # noqa: S701  # autoescape is among the options
    made.filters |= {name: getattr(defaultfilters, name) for name in DJANGO_FILTERS}
    made.filters |= {"date": date}
    for module in (instants, markup, words):
        made.filters |= _public_functions(module)
    made.globals |= {
        "CHANGE_LOOKS": icons.CHANGE_LOOKS,
        "STEP_LOOKS": icons.STEP_LOOKS,
        "diff_lines": diffs.diff_lines,
        "here": here,
        "query_string": query_string,
        "sprite_address": icons.sprite_address,
        "static": static,
        "url": url,
    }
    return made


class Indentation(Extension):
    """Leaves the indentation of pages out of what is sent, when a template is compiled: of a line's
    end one character stays.
    """

    def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
        is_page = str(stream.filename).endswith(".html")
        for token in stream:
            if is_page and token.type == "data":
                yield Token(token.lineno, token.type, re.sub(r"\n\s+", "\n", token.value))
            else:
                yield token


def _public_functions(module: ModuleType) -> dict[str, Callable[..., Any]]:
    named = [name for name in vars(module) if not name.startswith("_")]
    own = {
        name: vars(module)[name] for name in named if isinstance(vars(module)[name], FunctionType)
    }
    exported = getattr(module, "__all__", ())
    return {
        name: found
        for name, found in own.items()
        if found.__module__ == module.__name__ or name in exported
    }


def refuse_callables(value: Any) -> Any:
    """What is about to be shown. Raises TypeError for a method or function that was named, not
    called.
    """
    if callable(value) and not isinstance(value, Undefined):
        raise TypeError(f"{value!r} is shown without being called")
    return value


def url(name: str, *args: Any) -> str:
    """The address of a page."""
    return reverse(name, args=args)


def date(value: Any, form: str) -> str:
    """Django's `date`, in the zone that the page shows."""
    here = (
        timezone.localtime(value)
        if isinstance(value, datetime) and timezone.is_aware(value)
        else value
    )
    return str(defaultfilters.date(here, form))


@pass_context
def query_string(context: Context, **changes: Any) -> str:
    """The present query with some parameters changed; empty ones removed; a new filter begins at
    the first page.
    """
    params = context["request"].GET.copy()
    params.pop("cursor", None)
    for name, value in changes.items():
        if value in (None, ""):
            params.pop(name, None)
        else:
            params[name] = value
    return "?" + params.urlencode() if params else "?"


@pass_context
def here(context: Context, name: str) -> bool:
    """Whether the page belongs to the navigation entry of that address."""
    path, target = context["request"].path, reverse(name)
    return bool(path == target if target == "/" else path.startswith(target))
