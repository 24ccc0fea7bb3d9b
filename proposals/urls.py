from django.urls import path

from proposals import views

app_name = "proposals"
urlpatterns = [
    path("settings/proposals/", views.index, name="index"),
    path("settings/proposals/<int:key>/answer", views.answer, name="answer"),
]
