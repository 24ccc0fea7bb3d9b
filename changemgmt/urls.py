"""Every address of the product."""

from django.urls import include, path

from changemgmt import views
from changemgmt.api import api

urlpatterns = [
    path("", views.home, name="home"),
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
    path("icons.svg", views.icons, name="icons"),
    path("api/v1/docs", views.api_docs, name="api_docs"),
    path("api/v1/", api.urls),
    path("accounts/", include("pages.people.account_urls")),
    path("", include("pages.people.urls")),
    path("", include("proposals.urls")),
    path("", include("pages.changes.urls")),
    path("", include("approvals.urls")),
    path("", include("windows.urls")),
    path("", include("reports.urls")),
    path("", include("pages.trail.urls")),
    path("", include("pages.change.urls")),
]

handler404 = "changemgmt.views.not_found"
handler400 = "changemgmt.views.bad_request"
