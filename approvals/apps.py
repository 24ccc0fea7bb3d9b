from django.apps import AppConfig


class ApprovalsConfig(AppConfig):
    name = "approvals"

    def ready(self) -> None:
        from accounts.registry import people_changed
        from approvals import checks  # noqa: F401  registers them
        from approvals.deciding import recording
        from approvals.people import stand_ins, vacancies
        from approvals.policy_editor import drafts
        from approvals.rounds import rounds
        from notifications import outbox
        from proposals import second_person

        people_changed.connect(vacancies.after_people_changed)
        people_changed.connect(recording.after_people_changed)
        second_person.register(drafts.KIND, drafts.proposals_kind)
        second_person.register(stand_ins.KIND, stand_ins.proposals_kind)
        outbox.check_before_gathering("approval_waiting", rounds.still_waiting)
