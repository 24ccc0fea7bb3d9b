"""Development and demonstration: what `script/server` runs."""

from changemgmt import env
from changemgmt.settings.base import *  # noqa: F403

SECRET_KEY = env.text("SECRET_KEY", "only-for-commands-beside-a-running-development-server")
ALLOWED_HOSTS = ["*"]
DEMO_SIGN_IN = env.flag("DEMO", True)
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = env.flag("RELOAD", False)  # script/server --reload
