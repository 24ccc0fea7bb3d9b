"""Production: refuses to start with a missing or well-known secret, a demo, or a clock that is not
the machine's.
"""

from django.core.exceptions import ImproperlyConfigured

from changemgmt import clock, env
from changemgmt.settings.base import *  # noqa: F403
from changemgmt.settings.base import BASE_URL, CELERY_BROKER_TRANSPORT_OPTIONS

SECRET_KEY = env.text("SECRET_KEY")
if len(SECRET_KEY) < 32 or SECRET_KEY.startswith(("only-for", "change", "django-insecure")):
    raise ImproperlyConfigured(
        "SECRET_KEY must be 32 random characters or more; make one with: openssl rand -hex 32"
    )
for name in ("DATABASE_URL", "REDIS_URL", "EMAIL_URL", "BASE_URL"):
    env.text(name)
if clock.is_set():
    raise ImproperlyConfigured(
        "CHANGEMGMT_CLOCK is for development and tests; production runs on the machine's clock."
    )
if env.flag("DEMO"):
    raise ImproperlyConfigured("DEMO is for development; demo users share one well-known password.")

ALLOWED_HOSTS = env.words("ALLOWED_HOSTS")
CSRF_TRUSTED_ORIGINS = [BASE_URL]
SECURE_SSL_REDIRECT = env.flag("SECURE_SSL_REDIRECT", True)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_REDIRECT_EXEMPT = [
    r"^healthz$",
    r"^readyz$",
]  # asked by the container's own health check, without a proxy
SECURE_HSTS_SECONDS = 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
TEMPLATES_STRICT = False
SESSION_COOKIE_SECURE = True
SESSION_COOKIE_NAME = "__Host-sessionid"
CSRF_COOKIE_SECURE = True
CSRF_COOKIE_NAME = "__Host-csrftoken"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
CELERY_BROKER_TRANSPORT_OPTIONS |= {"health_check_interval": 30}
