from django.urls import path

from audit import views
from requests import redaction_views

app_name = "audit"
urlpatterns = [path("audit/", views.trail, name="trail"), path("audit/<int:key>/redact/", redaction_views.redact, name="redact")]
