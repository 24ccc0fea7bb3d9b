"""The models of the calendar: its rules, and what stands in it of a change."""

from windows.models.booking import Booking, Feed, FeedEntry, FreezeException, lifted_for
from windows.models.rules import (
    Closure,
    MaintenanceWindow,
    Version,
    VersionQuerySet,
    calendar_since,
    current_calendar,
    default_admitted,
    default_window_priorities,
    last_edit,
    openers,
)

__all__ = [
    "Booking",
    "Closure",
    "Feed",
    "FeedEntry",
    "FreezeException",
    "MaintenanceWindow",
    "Version",
    "VersionQuerySet",
    "calendar_since",
    "current_calendar",
    "default_admitted",
    "default_window_priorities",
    "last_edit",
    "lifted_for",
    "openers",
]
