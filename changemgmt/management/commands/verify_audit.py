"""`verify_audit [--head FILE]`: recompute the trail's chain and compare it with a head kept
elsewhere.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from audit import trail


class Command(BaseCommand):
    help = "Verify the audit trail. Exits 1 if an event was changed, removed or added from outside."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--head",
            help=(
                "a file with a head printed earlier ({events, head}); the chain must still pass"
                " through it"
            ),
        )

    def handle(self, *args: Any, **options: Any) -> None:
        found = trail.verify()
        self.stdout.write(
            json.dumps(
                {
                    "ok": found.ok,
                    "events": found.events,
                    "head": found.head,
                    "problem": found.problem,
                }
            )
        )
        if not found.ok:
            raise CommandError(found.problem)
        if options["head"]:
            kept = json.loads(Path(options["head"]).read_text())
            with connection.cursor() as cursor:
                cursor.execute("SELECT hash FROM audit_link WHERE position = %s", [kept["events"]])
                row = cursor.fetchone()
            if kept["events"] and (row is None or row[0] != kept["head"]):
                raise CommandError(
                    f"the chain does not pass through the head kept at event {kept['events']}: it"
                    " was rewritten"
                )
