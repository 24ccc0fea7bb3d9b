from django.apps import AppConfig


class ImplementationConfig(AppConfig):
    name = "implementation"

    def ready(self) -> None:
        from implementation import services
        from requests.lifecycle import follow

        follow("approve")(services.make_checklist)
        follow("deferred_review")(services.close_if_nothing_owed)
