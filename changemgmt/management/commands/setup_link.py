"""`setup_link`: prints the one address by which the first administrator of an installation makes
themselves.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts import setup
from language.refusal import Missing


class Command(BaseCommand):
    help = (
        "Print the set-up link: one use, 24 hours; a new one replaces the old; ends with the first"
        " administrator."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self.stdout.write(f"{settings.BASE_URL}{setup.make_link()}")
        except Missing as refused:
            raise CommandError(str(refused)) from None
