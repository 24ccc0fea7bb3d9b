from django.apps import AppConfig


class WindowsConfig(AppConfig):
    name = "windows"

    def ready(self) -> None:
        from accounts.registry import tokens_revoked
        from proposals import second_person
        from requests.lifecycle import follow
        from windows.booking import bookings, calendar_entries, holds
        from windows.feeds import feeds
        from windows.rules import rules

        tokens_revoked.connect(feeds.on_tokens_revoked)
        second_person.register(rules.KIND, rules.proposals_kind)

        follow("approve")(bookings.book_on_approval)
        follow("revise")(holds.keep)
        for ending in ("expire", "escalate", "cancel", "reject", "request_changes", "lapse", "complete", "finish_rollback", "fail"):
            follow(ending)(bookings.release)
        for move in calendar_entries.MOVES:
            follow(move)(calendar_entries.follow_slot)
