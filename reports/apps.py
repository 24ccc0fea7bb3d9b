from django.apps import AppConfig


class ReportsConfig(AppConfig):
    name = "reports"

    def ready(self) -> None:
        from reports import services
        from requests import redaction

        redaction.erases("reports", services.forget)
