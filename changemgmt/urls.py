"""Every address of the product."""

from django.urls import include, path

from changemgmt import views
from changemgmt.api import api

urlpatterns = [
    path("", views.home, name="home"),
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
    path("api/v1/", api.urls),
    path("icons.svg", views.icons, name="icons"),
]
