from django.apps import AppConfig


class ReportsConfig(AppConfig):
    name = "reports"

    def ready(self) -> None:
        from reports import reporting
        from requests import redaction

        redaction.erases("reports", reporting.forget)
