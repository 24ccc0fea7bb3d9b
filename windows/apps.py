from django.apps import AppConfig


class WindowsConfig(AppConfig):
    name = "windows"

    def ready(self) -> None:
        from accounts.services import tokens_revoked
        from proposals import second_person
        from requests.lifecycle import follow
        from windows import entries, feeds, holds, rules, services

        tokens_revoked.connect(feeds.on_tokens_revoked)
        second_person.register(rules.KIND, rules.proposals_kind)

        follow("approve")(services.book_on_approval)
        follow("revise")(holds.keep)
        for ending in ("expire", "escalate", "cancel", "reject", "request_changes", "lapse", "complete", "finish_rollback", "fail"):
            follow(ending)(services.release)
        for move in entries.MOVES:
            follow(move)(entries.follow_slot)
