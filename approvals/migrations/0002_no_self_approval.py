"""The database refuses a decision by whoever requested the change or edited its content: page, API, shell and raw SQL alike.

It also keeps decisions as they were made.
"""

from django.db import migrations

SQL = """
CREATE FUNCTION approvals_guard_decision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        RAISE EXCEPTION 'a decision is never changed' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF EXISTS (SELECT 1 FROM requests_author a WHERE a.change_id = NEW.change_id AND a.user_id = NEW.actor_id)
       OR EXISTS (SELECT 1 FROM requests_changerequest c WHERE c.id = NEW.change_id AND c.requester_id = NEW.actor_id) THEN
        RAISE EXCEPTION 'whoever requested a change or edited its content does not decide on it' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER approvals_decision_guard BEFORE INSERT OR UPDATE OR DELETE ON approvals_decision
    FOR EACH ROW EXECUTE FUNCTION approvals_guard_decision();
"""
UNDO = "DROP TRIGGER approvals_decision_guard ON approvals_decision; DROP FUNCTION approvals_guard_decision();"


class Migration(migrations.Migration):
    dependencies = [("approvals", "0001_initial")]
    operations = [migrations.RunSQL(SQL, UNDO)]
