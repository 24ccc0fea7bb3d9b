from django.apps import AppConfig


class ImplementationConfig(AppConfig):
    name = "implementation"

    def ready(self) -> None:
        from implementation.evidence import evidence
        from implementation.review import reviews
        from requests.lifecycle import follow

        follow("approve")(evidence.make_checklist)
        follow("record")(evidence.make_checklist)
        follow("deferred_review")(reviews.close_if_nothing_owed)
