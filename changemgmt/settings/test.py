"""Tests: real PostgreSQL and Redis, a fast hasher, mail kept in memory unless a test names a sink."""

from changemgmt.settings.dev import *  # noqa: F403
from changemgmt.settings.dev import DATABASES

SECRET_KEY = "only-for-tests"  # noqa: S105
DATABASES["default"]["ENGINE"] = "changemgmt.testing.postgresql"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ACCOUNT_RATE_LIMITS = False
