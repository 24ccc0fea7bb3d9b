from django.urls import path

from implementation import card, verbs, views

app_name = "implementation"
urlpatterns = [
    path("approvals/<int:step_id>/", card.card, name="card"),
    path("approvals/mail/<str:token>/", card.by_mail, name="by_mail"),
    path("changes/<str:number>/", views.overview, name="change"),
    path("changes/<str:number>/implementation/", views.run, name="run"),
    path("changes/<str:number>/history/", views.history, name="history"),
    path("changes/<str:number>/audit/", views.trail, name="trail"),
    path("changes/<str:number>/decide/<int:step_id>", verbs.decide, name="decide"),
    path("changes/<str:number>/act/<slug:verb>", verbs.act, name="act"),
]
