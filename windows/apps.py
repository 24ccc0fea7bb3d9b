from django.apps import AppConfig


class WindowsConfig(AppConfig):
    name = "windows"

    def ready(self) -> None:
        from requests.lifecycle import follow
        from windows import services

        follow("approve")(services.book_on_approval)
        for ending in ("revise", "escalate", "cancel", "complete", "finish_rollback", "fail"):
            follow(ending)(services.release)
