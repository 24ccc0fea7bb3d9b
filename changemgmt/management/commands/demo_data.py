"""`demo_data [--changes N] [--months M] [--seed S]`: people, components and a believable history;
never in production.
"""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from changemgmt.demo import people
from changemgmt.demo.history import make_past
from changemgmt.demo.present import make_present
from requests.models import ChangeRequest
from windows.rules import rules


class Command(BaseCommand):
    help = (
        "Demonstration data: users, components, two years of history, and work waiting in every"
        " state."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--changes",
            type=int,
            default=600,
            help="how many; 0 makes users, duties and components only",
        )
        parser.add_argument("--months", type=int, default=24)
        parser.add_argument("--seed", type=int, default=7)
        parser.add_argument(
            "--if-empty", action="store_true", help="do nothing where there are changes already"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if "production" in settings.SETTINGS_MODULE:
            raise CommandError(
                "demo users share one well-known password; demo data is refused under production"
                " settings"
            )
        if options["changes"] < 0 or not 1 <= options["months"] <= 240:
            raise CommandError("--changes takes 0 or more, --months 1 to 240")
        started = time.monotonic()
        users = people.make()
        rules.confirm(actor=users["change-manager"])
        if options["changes"] == 0 or (options["if_empty"] and ChangeRequest.objects.exists()):
            self.stdout.write("Users, duties and components are there.")
            return
        count = make_past(
            people=users, count=options["changes"], months=options["months"], seed=options["seed"]
        )
        make_present(users)
        self.stdout.write(
            f"{count} past changes and work in every state, in {time.monotonic() - started:.1f} s."
        )
