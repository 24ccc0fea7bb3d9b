"""allauth's addresses; its sign-in page gets the demonstration's people when there is one."""

from django.urls import include, path

from accounts.views import SignIn

urlpatterns = [path("login/", SignIn.as_view(), name="account_login"), path("", include("allauth.urls"))]
