from django.urls import path

from approvals import views

app_name = "approvals"
urlpatterns = [
    path("approvals/", views.queue, name="queue"),
    path("approvals/waiting/", views.blocked, name="blocked"),
    path("approvals/several", views.several, name="several"),
    path("settings/delegations/", views.delegation_page, name="delegations"),
]
