"""People and a change: who wrote on it, and to whom it is shown though it is confidential."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from guardian.models import GroupObjectPermissionBase, UserObjectPermissionBase


class Author(models.Model):
    """Who requested a change or edited its content: barred from deciding on it, for ever (promise
    1; a trigger agrees).
    """

    change = models.ForeignKey(
        "requests.ChangeRequest", on_delete=models.CASCADE, related_name="authors"
    )
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["change", "user"], name="one_author_row_per_person")
        ]

    def __str__(self) -> str:
        return f"{self.user_id} wrote on {self.change_id}"


class ChangeReader(UserObjectPermissionBase):
    """A confidential change granted to one person, by django-guardian with a direct foreign key:
    gone with its change, never orphaned.
    """

    content_object = models.ForeignKey(
        "requests.ChangeRequest", on_delete=models.CASCADE, related_name="readers"
    )


class ChangeReaders(GroupObjectPermissionBase):
    """The same, granted to whoever holds a role."""

    content_object = models.ForeignKey(
        "requests.ChangeRequest", on_delete=models.CASCADE, related_name="reader_groups"
    )
