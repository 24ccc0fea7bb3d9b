from django.urls import path

from pages.trail import redaction_views, views

app_name = "audit"
urlpatterns = [
    path("audit/", views.trail, name="trail"),
    path("audit/<int:key>/redact/", redaction_views.redact, name="redact"),
]
