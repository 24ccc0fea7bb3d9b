from django.urls import path

from pages.people import views

app_name = "accounts"
urlpatterns = [
    path("accounts/demo/", views.demo_sign_in, name="demo_sign_in"),
    path("settings/", views.settings_home, name="settings"),
    path("settings/me/", views.me, name="me"),
    path("settings/people/", views.people, name="people"),
    path("setup/<str:token>", views.setup_first, name="setup"),
    path("settings/staffing/", views.staffing_page, name="staffing"),
    path("settings/people/new", views.person, name="person_new"),
    path("settings/people/<str:username>/", views.person, name="person"),
    path("settings/people/<str:username>/invite", views.invite, name="invite"),
    path("settings/duties/", views.duties, name="duties"),
    path("settings/tokens/", views.tokens, name="tokens"),
]
