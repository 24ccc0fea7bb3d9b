from django.apps import AppConfig


class ChangemgmtConfig(AppConfig):
    name = "changemgmt"

    def ready(self) -> None:
        from django.utils.module_loading import autodiscover_modules

        from changemgmt import wiring

        wiring.connect()
        autodiscover_modules("clicks")  # what each app lets people do on a change's page
