from django.urls import path

from approvals.deciding import views
from approvals.people import stand_in_views
from approvals.policy_editor import simulator_views
from approvals.policy_editor import views as policy_views

app_name = "approvals"
urlpatterns = [
    path("approvals/", views.queue, name="queue"),
    path("approvals/waiting/", views.blocked, name="blocked"),
    path("approvals/several", views.several, name="several"),
    path("changes/<str:number>/suggest/<slug:field>", views.suggest, name="suggest"),
    path("settings/delegations/", views.delegation_page, name="delegations"),
    path("settings/stand-ins/", stand_in_views.stand_in_page, name="stand_ins"),
    path("settings/policy/", policy_views.index, name="policy"),
    path("settings/policy/versions/<int:version>/", policy_views.version, name="policy_version"),
    path("settings/policy/simulator/", simulator_views.simulator, name="policy_simulator"),
    path("settings/policy/drafts/new", policy_views.start, name="policy_start"),
    path("settings/policy/drafts/<int:key>/", policy_views.draft, name="policy_draft"),
    path("settings/policy/drafts/<int:key>/edit", policy_views.edit, name="policy_edit"),
    path("settings/policy/drafts/<int:key>/publish", policy_views.publish, name="policy_publish"),
    path("settings/policy/drafts/<int:key>/trial/", policy_views.tried, name="policy_trial"),
]
