"""`create_token USERNAME [--scope …]`: a bearer token for a pipeline; prints the token alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from accounts.models import ApiToken, User
from audit import trail


class Command(BaseCommand):
    help = "Make an API token for a user and print it, alone, once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--scope", choices=ApiToken.Scope.values, default="read")
        parser.add_argument("--name", default="from the command line")
        parser.add_argument("--days", type=int, default=365)

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["username"], is_active=True).first()
        if user is None:
            raise CommandError(f"there is no active user {options['username']!r}")
        token, secret = ApiToken.make(
            user=user,
            name=options["name"],
            scope=options["scope"],
            lifetime=timedelta(days=options["days"]),
        )
        trail.record(
            "token.create", data={"token": token.pk, "user": user.pk, "scope": token.scope}
        )
        self.stdout.write(secret)
