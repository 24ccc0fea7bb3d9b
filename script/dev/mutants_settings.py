"""Settings of the tests that judge mutants: no server is needed, and a query has no database to go
to.
"""

from changemgmt.settings.test import *  # noqa: F403

CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
