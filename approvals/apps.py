from django.apps import AppConfig


class ApprovalsConfig(AppConfig):
    name = "approvals"

    def ready(self) -> None:
        from approvals import drafts, rounds
        from notifications import services as notifications
        from proposals import services as proposals

        proposals.register(drafts.KIND, drafts.proposals_kind)
        notifications.check_before_gathering("approval_waiting", rounds.still_waiting)
