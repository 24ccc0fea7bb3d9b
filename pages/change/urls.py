from django.urls import path

from pages.change import approval_card, clicks, views

app_name = "implementation"
urlpatterns = [
    path("approvals/<int:step_id>/", approval_card.card, name="card"),
    path("approvals/mail/<str:token>/", approval_card.by_mail, name="by_mail"),
    path("changes/<str:number>/", views.overview, name="change"),
    path("changes/<str:number>/implementation/", views.run, name="run"),
    path("changes/<str:number>/history/", views.history, name="history"),
    path("changes/<str:number>/audit/", views.trail, name="trail"),
    path("changes/<str:number>/decide/<int:step_id>", clicks.decide, name="decide"),
    path("changes/<str:number>/act/<slug:verb>", clicks.act, name="act"),
]
