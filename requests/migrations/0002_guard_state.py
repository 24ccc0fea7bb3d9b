"""The database's own copy of the table of moves: whoever goes round the ORM meets it too.

A new row is a draft, unless its origin (which never changes) says import or demo. The list below is frozen; when a transition is
added, a new migration replaces the function, and tests/requests/test_state_guard.py compares both tables.
"""

from django.db import migrations

MOVES = [
    ("approved", "cancelled"), ("approved", "changes_requested"), ("approved", "implementing"), ("approved", "in_review"),
    ("approved", "scheduled"), ("changes_requested", "cancelled"), ("changes_requested", "in_review"), ("closed", "failed"),
    ("closed", "rolling_back"), ("completed", "closed"), ("completed", "failed"), ("completed", "rolling_back"),
    ("draft", "cancelled"), ("draft", "in_review"), ("failed", "closed"), ("implementing", "failed"),
    ("implementing", "rolling_back"), ("implementing", "verifying"), ("in_review", "approved"), ("in_review", "cancelled"),
    ("in_review", "changes_requested"), ("in_review", "rejected"), ("rolled_back", "closed"), ("rolling_back", "failed"),
    ("rolling_back", "rolled_back"), ("scheduled", "approved"), ("scheduled", "cancelled"), ("scheduled", "implementing"),
    ("scheduled", "in_review"), ("verifying", "completed"), ("verifying", "failed"), ("verifying", "rolling_back"),
]  # fmt: skip
PAIRS = ", ".join(f"('{source}', '{target}')" for source, target in MOVES)

SQL = f"""
CREATE FUNCTION requests_guard_state() RETURNS trigger LANGUAGE plpgsql AS $$
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
    RETURN NEW;
END $$;
CREATE TRIGGER requests_changerequest_state BEFORE INSERT OR UPDATE OF state, origin, number ON requests_changerequest
    FOR EACH ROW EXECUTE FUNCTION requests_guard_state();

CREATE FUNCTION requests_refuse_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a change is cancelled, never deleted' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER requests_changerequest_kept BEFORE DELETE ON requests_changerequest
    FOR EACH ROW EXECUTE FUNCTION requests_refuse_delete();
"""

UNDO = """
DROP TRIGGER requests_changerequest_kept ON requests_changerequest;
DROP FUNCTION requests_refuse_delete();
DROP TRIGGER requests_changerequest_state ON requests_changerequest;
DROP FUNCTION requests_guard_state();
"""


class Migration(migrations.Migration):
    dependencies = [("requests", "0001_initial")]
    operations = [migrations.RunSQL(SQL, UNDO)]
