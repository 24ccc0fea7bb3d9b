"""A freeze exception belongs to a round of its change, so that an edit and its undoing do not bring it back (A6)."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("windows", "0001_initial"), ("requests", "0002_guard_state")]

    operations = [
        migrations.AddField(
            "freezeexception",
            "round",
            models.PositiveIntegerField(default=1, help_text="Of the change: an edit of its content opens another round and ends the grant."),
        ),
        migrations.RunSQL(
            "UPDATE windows_freezeexception e SET round = c.round FROM requests_changerequest c"
            " WHERE c.id = e.change_id AND c.content_hash = e.content_hash",
            migrations.RunSQL.noop,
        ),
        migrations.RemoveConstraint("freezeexception", "one_exception_per_slot"),
        migrations.RemoveField("freezeexception", "content_hash"),
        migrations.AddConstraint(
            "freezeexception", models.UniqueConstraint(fields=["change", "slot_start", "round"], name="one_exception_per_slot")
        ),
    ]
