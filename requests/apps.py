from functools import partial

from django.apps import AppConfig


class RequestsConfig(AppConfig):
    name = "requests"

    def ready(self) -> None:
        from proposals import services as proposals
        from requests import components, dependencies, redaction, watching
        from requests.lifecycle import follow

        proposals.register(components.KIND, components.proposals_kind)
        proposals.register(redaction.KIND, redaction.proposals_kind)

        for name in watching.WATCHED:
            follow(name)(partial(watching.moved, name))
        for name in dependencies.MOVED:
            follow(name)(partial(dependencies.moved, name))
