"""Clicks on a change that ask something of the calendar."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from accounts.models import User
from implementation.run import duty
from implementation.run.case import Case
from language import reading
from language.refusal import Invalid
from language.say import say_span
from requests.models import ChangeRequest
from web.clicks import Posted, click
from windows.booking import asked_openings, bookings, freeze_exceptions


def _instant(posted: Posted, name: str, label: str) -> datetime:
    try:
        return reading.instant(posted.text(name))
    except reading.Wrong as problem:
        raise Invalid(fields={name: f"{label}: {problem}"}) from None


def booked(change: ChangeRequest) -> str:
    """With the warning that nobody is there to start it (A37)."""
    assert change.slot_start is not None
    assert change.slot_end is not None
    return (
        f"Booked: {say_span(change.slot_start, change.slot_end)}."
        f" {duty.warning(Case(change, change.requester))}".rstrip()
    )


@click("schedule", booked)
def schedule(actor: User, number: str, posted: Posted) -> Any:
    return bookings.schedule(
        actor=actor,
        number=number,
        start=_instant(posted, "start", "Start"),
        short_notice_reason=posted.text("short_notice_reason"),
        override_reason=posted.text("override_reason"),
    )


@click("unschedule", "The slot is free again.")
def unschedule(actor: User, number: str, posted: Posted) -> Any:
    return bookings.unschedule(actor=actor, number=number, reason=posted.text("reason"))


@click("ask-opening", "The change managers have been asked.")
def ask_opening(actor: User, number: str, posted: Posted) -> Any:
    start = _instant(posted, "start", "Start")
    return asked_openings.ask_for_opening(
        actor=actor, number=number, start=start, reason=posted.text("reason")
    )


def _about_exception(do: Callable[..., Any], actor: User, number: str, posted: Posted) -> Any:
    """With the slot that it is about, and whose asking was seen."""
    slot = _instant(posted, "slot_start", "Slot start")
    seen = {"asked": posted.text("asked")} if "asked" in posted.values else {}
    return do(actor=actor, number=number, slot_start=slot, reason=posted.text("reason"), **seen)


@click("ask-exception", "CTO and change managers have been asked.", anchor="#exceptions")
def ask_exception(actor: User, number: str, posted: Posted) -> Any:
    return _about_exception(freeze_exceptions.ask, actor, number, posted)


@click("grant-exception", "Your half of the exception is granted.", anchor="#exceptions")
def grant_exception(actor: User, number: str, posted: Posted) -> Any:
    return _about_exception(freeze_exceptions.grant, actor, number, posted)


@click("decline-exception", "Said no; its people are told.", anchor="#exceptions")
def decline_exception(actor: User, number: str, posted: Posted) -> Any:
    return _about_exception(freeze_exceptions.decline, actor, number, posted)
