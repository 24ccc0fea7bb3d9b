from django.apps import AppConfig


class ChangemgmtConfig(AppConfig):
    name = "changemgmt"
