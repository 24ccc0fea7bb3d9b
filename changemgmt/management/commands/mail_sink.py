"""`mail_sink PORT FOLDER`: a real SMTP server for development that keeps what it gets as files."""

from __future__ import annotations

import signal
import threading
from itertools import count
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from django.core.management.base import BaseCommand, CommandParser


class Sink:
    """Writes each message to `folder/NNNNNN.eml`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.numbers = count(len(list(folder.glob("*.eml"))) + 1)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        (self.folder / f"{next(self.numbers):06}.eml").write_bytes(envelope.original_content or b"")
        return "250 Kept"


class Command(BaseCommand):
    help = "Catch mail over real SMTP on the loopback address, for development and tests."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("port", type=int)
        parser.add_argument("folder")

    def handle(self, *args: Any, **options: Any) -> None:
        controller = Controller(
            Sink(Path(options["folder"])), hostname="127.0.0.1", port=options["port"]
        )
        controller.start()
        stop = threading.Event()
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, lambda *_: stop.set())
        stop.wait()
        controller.stop()
