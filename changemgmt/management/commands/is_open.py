"""`is_open [--at ISO] [--priority P] [--component SLUG …]`: the calendar's answer in one sentence;
exit status 0 open, 1 shut.
"""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from language import reading
from requests import cleaning
from requests.models import ChangeRequest
from windows.calendar.explain import explain
from windows.models import current_calendar


class Command(BaseCommand):
    help = (
        "Says whether a priority may start at an instant, by which rule, and if not, when next."
        " Exit status 0: open, 1: shut."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--at", default="", help="An ISO instant; now, if nothing is said.")
        parser.add_argument("--priority", default="P1", choices=ChangeRequest.Priority.values)
        parser.add_argument(
            "--component",
            action="append",
            default=[],
            help="A component's name; may be given several times.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            at = reading.instant(options["at"]) if options["at"] else timezone.now()
            scope = frozenset(
                component.slug for component in cleaning.component_list(options["component"])
            )
        except reading.Wrong as problem:
            raise CommandError(str(problem), returncode=2) from None
        answer = explain(options["priority"], at, current_calendar(), scope)
        self.stdout.write(answer.sentence)
        if not answer.open:
            sys.exit(1)
