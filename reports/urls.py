from django.urls import path

from reports import views

app_name = "reports"
urlpatterns = [
    path("reports/", views.dashboard, name="dashboard"),
    path("reports/<str:period>/", views.monthly, name="monthly"),
    path("reports/<str:period>/<slug:name>/", views.line, name="line"),
    path("reports/<str:period>/issue", views.issue, name="issue"),
]
