"""Every address of the product."""

from django.urls import include, path

from changemgmt import views

urlpatterns = [
    path("", views.home, name="home"),
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
    path("icons.svg", views.icons, name="icons"),
]
