"""`tick [--at ISO]`: do everything that is due by an instant; Celery beat calls the same function
every 30 seconds.
"""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from changemgmt import clock
from changemgmt.tick import tick


class Command(BaseCommand):
    help = "Do everything that is due by an instant (default: now), judged and stamped by it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--at", help="an ISO instant, like 2026-10-06T04:00Z")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            at = clock.parse(options["at"]) if options["at"] else None
        except ValueError:
            raise CommandError(
                f"--at {options['at']!r} is no ISO instant; write it like 2026-10-06T04:00Z."
            ) from None
        self.stdout.write(json.dumps(tick(at)))
