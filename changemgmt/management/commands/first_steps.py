"""`first_steps`: the line that `script/server` prints when the page answers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from accounts import setup
from changemgmt import clock
from changemgmt.demo.people import password
from windows.calendar.verdict import closure_occurrences
from windows.models import current_calendar


class Command(BaseCommand):
    help = "What to do first, for a demonstration or a real installation."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--demo", action="store_true")
        parser.add_argument("--url", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        url, now = options["url"], timezone.now()
        if options["demo"]:
            line = (
                f"Ready: {url}/ · sign in as engineer, devops-lead, change-manager, … with password"
                f" {password()} (one click each on the page)"
            )
            frozen = [
                c
                for c in closure_occurrences(current_calendar(), now, now + timedelta(seconds=1))
                if c.shuts("P2", frozenset())
            ]
            if frozen and not clock.is_set():
                line += (
                    f" · today lies in {frozen[0].name}; to see a window open:"
                    " CHANGEMGMT_CLOCK=2026-10-06T01:50Z script/server"
                )
        elif not setup.is_needed():
            line = f"Ready: {url}/"
        else:
            line = (
                f"Ready: {url}/ · nobody can sign in yet. Make the first administrator:"
                f" {url}{setup.make_link()} (works once, for 24 hours; script/manage setup_link"
                " prints a new one). Its home then says what is still missing."
            )
        self.stdout.write(line)
