"""One migrated database a run, copied for every process: migrating takes seconds, copying a tenth
of one.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command
from django.db import connection

ROOT = Path(__file__).parents[1]
TURNS = 7_301_199  # the processes of one run take turns at making the template


def copy() -> str:
    """Point Django at a fresh copy of the template, made now if the migrations have changed, and
    name it.
    """
    template = f"template_{_fingerprint()}"
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    name = f"test_{settings.DATABASES['default']['NAME']}_{worker}"
    connection.close()
    with connection.creation._nodb_cursor() as cursor:
        cursor.execute(
            "SET lock_timeout = 0; SET statement_timeout = 0"
        )  # whoever comes second waits for the template as long as it takes
        cursor.execute("SELECT pg_advisory_lock(%s)", [TURNS])
        cursor.execute("SELECT FROM pg_database WHERE datname = %s", [template])
        if cursor.fetchone() is None:
            _make(cursor, template)
        cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
        cursor.execute("SELECT pg_advisory_unlock(%s)", [TURNS])
    _use(name)
    return name


def drop(name: str) -> None:
    connection.close()
    with connection.creation._nodb_cursor() as cursor:
        cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _make(cursor: Any, template: str) -> None:
    """Migrate under another name, so that a run that is stopped midway leaves no half template;
    older ones go.
    """
    cursor.execute("SELECT datname FROM pg_database WHERE datname LIKE 'template\\_%%'")
    for (old,) in cursor.fetchall():
        cursor.execute(f'DROP DATABASE IF EXISTS "{old}" WITH (FORCE)')
    unfinished = f"{template}_unfinished"
    cursor.execute(f'CREATE DATABASE "{unfinished}"')
    _use(unfinished)
    call_command("migrate", verbosity=0, interactive=False)
    connection.close()
    cursor.execute(f'ALTER DATABASE "{unfinished}" RENAME TO "{template}"')


def _use(name: str) -> None:
    connection.close()
    settings.DATABASES["default"]["NAME"] = name
    connection.settings_dict["NAME"] = name


def _fingerprint() -> str:
    digest = hashlib.sha256(django.__version__.encode())
    for path in sorted(ROOT.glob("*/migrations/*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
