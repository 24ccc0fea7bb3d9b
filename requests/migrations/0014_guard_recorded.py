"""An emergency may be recorded while it runs or afterwards: a draft then moves to implementing or verifying at once (A33).

The list is frozen like that of 0002, which it replaces.
"""

from django.db import migrations

MOVES = [
    ("approved", "cancelled"), ("approved", "changes_requested"), ("approved", "implementing"), ("approved", "in_review"),
    ("approved", "scheduled"), ("changes_requested", "cancelled"), ("changes_requested", "in_review"), ("closed", "failed"),
    ("closed", "rolling_back"), ("completed", "closed"), ("completed", "failed"), ("completed", "rolling_back"),
    ("draft", "cancelled"), ("draft", "implementing"), ("draft", "in_review"), ("draft", "verifying"), ("failed", "closed"), ("implementing", "failed"),
    ("implementing", "rolling_back"), ("implementing", "verifying"), ("in_review", "approved"), ("in_review", "cancelled"),
    ("in_review", "changes_requested"), ("in_review", "rejected"), ("rolled_back", "closed"), ("rolling_back", "failed"),
    ("rolling_back", "rolled_back"), ("scheduled", "approved"), ("scheduled", "cancelled"), ("scheduled", "implementing"),
    ("scheduled", "in_review"), ("verifying", "completed"), ("verifying", "failed"), ("verifying", "rolling_back"),
]  # fmt: skip
PAIRS = ", ".join(f"('{source}', '{target}')" for source, target in MOVES)

SQL = f"""
CREATE OR REPLACE FUNCTION requests_guard_state() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'draft' AND NOT (NEW.origin = 'demo' OR (NEW.origin = 'import'
                AND NEW.state IN ('completed', 'rolled_back', 'failed', 'closed', 'rejected', 'cancelled'))) THEN
            RAISE EXCEPTION 'a change begins as a draft, not as %', NEW.state USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF NEW.origin <> OLD.origin OR NEW.number <> OLD.number THEN
        RAISE EXCEPTION 'origin and number of a change never change' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN ({PAIRS}) THEN
        RAISE EXCEPTION 'a change does not move from % to %', OLD.state, NEW.state USING ERRCODE = 'check_violation';
    END IF;
    IF OLD.state = 'draft' AND NEW.state IN ('implementing', 'verifying') AND NEW.origin = 'app'
       AND (NEW.priority <> 'P0' OR NEW.actual_start IS NULL) THEN
        RAISE EXCEPTION 'only an emergency that has begun is recorded' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("requests", "0013_emergencies")]
    operations = [migrations.RunSQL(SQL, migrations.RunSQL.noop)]
