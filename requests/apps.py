from functools import partial

from django.apps import AppConfig


class RequestsConfig(AppConfig):
    name = "requests"

    def ready(self) -> None:
        from requests import watching
        from requests.lifecycle import follow

        for name in watching.WATCHED:
            follow(name)(partial(watching.moved, name))
