from functools import partial

from django.apps import AppConfig


class RequestsConfig(AppConfig):
    name = "requests"

    def ready(self) -> None:
        from proposals import second_person
        from requests import components, dependencies, redaction, watching
        from requests.lifecycle import follow

        second_person.register(components.KIND, components.proposals_kind)
        second_person.register(redaction.KIND, redaction.proposals_kind)

        for name in watching.WATCHED:
            follow(name)(partial(watching.moved, name))
        for name in dependencies.MOVED:
            follow(name)(partial(dependencies.moved, name))
