from django.urls import path

from windows import views

app_name = "windows"
urlpatterns = [path("calendar/", views.calendar, name="calendar")]
