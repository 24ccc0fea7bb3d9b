"""Tests: real PostgreSQL and Redis, a fast hasher, mail kept in memory unless a test names
a sink.
"""

import os

from changemgmt.settings.dev import *  # noqa: F403
from changemgmt.settings.dev import CACHES, DATABASES, REDIS_URL

SECRET_KEY = "only-for-tests"  # noqa: S105
DATABASES["default"]["ENGINE"] = "changemgmt.testing.postgresql"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ACCOUNT_RATE_LIMITS = False

# Each process of a parallel run has a Redis database of its own: one clears its cache without the
# others noticing.
if worker := os.environ.get("PYTEST_XDIST_WORKER", ""):
    REDIS_URL = f"{REDIS_URL.rpartition('/')[0]}/{int(worker.removeprefix('gw')) + 1}"
    CACHES["default"]["LOCATION"] = CELERY_BROKER_URL = REDIS_URL
