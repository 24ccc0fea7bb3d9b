"""The floor: a one-file Django app that does the same steps on the same rows with the least SQL and
a minimal page.

Stock middleware, database session, sign-in required. What the product costs beyond this is what its
promises cost.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from django.apps import AppConfig
from django.conf import settings

from changemgmt import env


class People(AppConfig):
    """The product's users, without what the product hangs on signing in."""

    name = "accounts"


settings.configure(
    SECRET_KEY=os.environ["SECRET_KEY"],
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    DATABASES={"default": env.database(os.environ["DATABASE_URL"]) | {"CONN_MAX_AGE": 600}},
    INSTALLED_APPS=[
        f"{__name__}.People",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
    ],
    AUTH_USER_MODEL="accounts.User",
    USE_TZ=True,
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
)

import django

django.setup()

from django.contrib.auth.decorators import login_required
from django.core.wsgi import get_wsgi_application
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.template import Context, Template
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

PAGE = Template(
    "<!doctype html><title>Floor</title><table>{% for row in rows %}<tr>{% for cell in row %}<td>{{"
    " cell }}</td>{% endfor %}</tr>{% endfor %}</table>"
)
COLUMNS = "c.number, c.summary, c.state, c.priority, c.slot_start, u.name"
LIST = (
    f"SELECT {COLUMNS} FROM requests_changerequest c JOIN accounts_user u ON u.id = c.requester_id"
)
QUERIES = {
    "list": LIST + " ORDER BY c.created_at DESC, c.id DESC LIMIT 50",
    "filtered": (
        LIST
        + " WHERE c.state = 'closed' AND c.priority = 'P1' ORDER BY c.created_at DESC, c.id DESC"
        " LIMIT 50"
    ),
    "search": (
        LIST
        + " WHERE c.search @@ websearch_to_tsquery('english', 'catalogue') ORDER BY c.created_at"
        " DESC, c.id DESC LIMIT 50"
    ),
    "change": (
        "SELECT e.at, e.action, e.data FROM audit_event e WHERE e.change_id = (SELECT max(id) FROM"
        " requests_changerequest WHERE state = 'closed') ORDER BY e.id"
    ),
    "queue": (
        "SELECT s.id, s.kind, c.number, c.summary FROM approvals_step s JOIN requests_changerequest"
        " c ON c.id = s.change_id WHERE s.state = 'open' LIMIT 30"
    ),
    "calendar": (
        LIST
        + " WHERE c.slot_start >= date_trunc('month', now()) AND c.slot_start < date_trunc('month',"
        " now()) + interval '1 month' ORDER BY c.slot_start"
    ),
    "report": (
        "SELECT priority, outcome, count(*), avg(started_at - submitted_at) FROM"
        " requests_changerequest WHERE ended_at >= date_trunc('month', now()) - interval '1 month'"
        " AND ended_at < date_trunc('month', now()) GROUP BY 1, 2"
    ),
    "gate": (
        "SELECT state, slot_start, window_end FROM requests_changerequest WHERE id = (SELECT"
        " max(id) FROM requests_changerequest)"
    ),
}


@login_required
def read(request: HttpRequest, step: str) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute(QUERIES[step])
        return HttpResponse(PAGE.render(Context({"rows": cursor.fetchall()})))


@csrf_exempt
@login_required
@transaction.atomic
def write(request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE requests_changerequest SET updated_at = now() WHERE id = (SELECT max(id) FROM"
            " requests_changerequest WHERE state = 'closed')"
        )
        cursor.execute(
            "INSERT INTO requests_comment (change_id, author_id, text, created_at) SELECT max(id),"
            " %s, 'x', now() FROM requests_changerequest",
            [request.user.pk],
        )
    return HttpResponse(status=302, headers={"Location": "/"})


urlpatterns = [path("write", write), path("<str:step>", read)]
application = get_wsgi_application()
