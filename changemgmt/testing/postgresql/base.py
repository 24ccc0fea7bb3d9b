"""PostgreSQL for tests with real transactions: a flush that the append-only trail does not refuse.

Django empties tables with TRUNCATE between such tests, which the trail's trigger forbids. This
flush switches triggers off for its own transaction alone; nothing else about the database differs
from production.
"""

from django.db.backends.postgresql.base import DatabaseWrapper as PostgresqlWrapper
from django.db.backends.postgresql.operations import DatabaseOperations as PostgresqlOperations


class DatabaseOperations(PostgresqlOperations):
    def sql_flush(self, *args, **kwargs):  # type: ignore[no-untyped-def]
        statements = super().sql_flush(*args, **kwargs)
        return ["SET LOCAL session_replication_role = replica", *statements] if statements else []


class DatabaseWrapper(PostgresqlWrapper):
    ops_class = DatabaseOperations
