from django.urls import path, register_converter

from windows.converters import DayConverter
from windows.feeds import views as feed_views
from windows.pages import question_views, views
from windows.rules import lockdown_views
from windows.rules import views as rule_views

register_converter(DayConverter, "day")
app_name = "windows"
urlpatterns = [
    path("calendar/rules/", rule_views.index, name="rules"),
    path("calendar/rules/new/<slug:kind>/", rule_views.new, name="new_rule"),
    path("calendar/rules/preview/<slug:kind>/", rule_views.preview, name="preview_rule"),
    path("calendar/rules/<slug:model>/<int:key>/", rule_views.edit, name="rule"),
    path("calendar/proposed/<int:key>/", rule_views.proposed, name="proposed"),
    path("calendar/import/", feed_views.import_ics, name="import"),
    path("calendar/feeds/", feed_views.feeds, name="feeds"),
    path("feeds/<str:token>/changes.ics", feed_views.feed, name="feed"),
    path("calendar/lockdown/", lockdown_views.lockdowns, name="lockdown"),
    path("calendar/", views.calendar, name="calendar"),
    path("calendar/day/<day:day>/", views.day, name="day"),
    path("calendar/open/", question_views.is_open, name="is_open"),
    path("calendar/find/", question_views.find, name="find"),
    path("calendar/move/", question_views.move, name="move"),
]
