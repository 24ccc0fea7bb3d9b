from django.urls import path, register_converter

from windows import views
from windows.converters import DayConverter

register_converter(DayConverter, "day")
app_name = "windows"
urlpatterns = [
    path("calendar/", views.calendar, name="calendar"),
    path("calendar/day/<day:day>/", views.day, name="day"),
    path("calendar/open/", views.is_open, name="is_open"),
    path("calendar/find/", views.find, name="find"),
    path("calendar/move/", views.move, name="move"),
]
