from django.apps import AppConfig


class ImplementationConfig(AppConfig):
    name = "implementation"

    def ready(self) -> None:
        from implementation import evidence, reviews
        from requests.lifecycle import follow

        follow("approve")(evidence.make_checklist)
        follow("record")(evidence.make_checklist)
        follow("deferred_review")(reviews.close_if_nothing_owed)
