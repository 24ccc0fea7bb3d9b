from django.apps import AppConfig


class ApprovalsConfig(AppConfig):
    name = "approvals"

    def ready(self) -> None:
        from approvals import drafts
        from proposals import services as proposals

        proposals.register(drafts.KIND, drafts.proposals_kind)
