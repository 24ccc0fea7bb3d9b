"""`generate_report monthly PERIOD`: make or renew a stored report and print it."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from language.say import plain
from reports import reporting


class Command(BaseCommand):
    help = "Make a month's report (a new version where facts changed) and print it as JSON."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("kind", choices=["monthly"])
        parser.add_argument("period", help="YYYY-MM")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            month = date.fromisoformat(f"{options['period']}-01")
        except ValueError:
            raise CommandError(
                f"{options['period']!r} is no month; write it like 2026-10."
            ) from None
        reporting.make(month)
        self.stdout.write(
            json.dumps(plain(reporting.report_for(month)), ensure_ascii=False, indent=1)
        )
