from django.urls import path

from pages.changes import views
from pages.components import views as component_views
from pages.request_form import views as form_views

app_name = "requests"
urlpatterns = [
    path("changes/", views.index, name="index"),
    path("changes/export.csv", views.export, name="export"),
    path("changes/new", form_views.new, name="new"),
    path("changes/preview", form_views.preview, name="preview"),
    path("changes/<str:number>/edit", form_views.edit, name="edit"),
    path("settings/components/", component_views.components, name="components"),
    path("settings/components/new", component_views.component, name="component_new"),
    path("settings/components/<str:slug>/", component_views.component, name="component"),
]
