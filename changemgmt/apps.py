from django.apps import AppConfig


class ChangemgmtConfig(AppConfig):
    name = "changemgmt"

    def ready(self) -> None:
        from changemgmt import wiring

        wiring.connect()
