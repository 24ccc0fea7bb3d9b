"""The end of the chain is neither deleted nor set back: it moves on, to a link that there is (X25)."""

from django.db import migrations

SQL = """
CREATE FUNCTION audit_guard_head() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.position < OLD.position OR (NEW.position > 0 AND NOT EXISTS (
            SELECT 1 FROM audit_link l WHERE l.position = NEW.position AND l.hash = NEW.hash)) THEN
        RAISE EXCEPTION 'the head of the audit trail only moves on' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER audit_head_moves_on BEFORE UPDATE ON audit_head FOR EACH ROW EXECUTE FUNCTION audit_guard_head();
CREATE TRIGGER audit_head_kept BEFORE DELETE ON audit_head FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_head_no_truncate BEFORE TRUNCATE ON audit_head FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
"""
UNDO = """
DROP TRIGGER audit_head_no_truncate ON audit_head;
DROP TRIGGER audit_head_kept ON audit_head;
DROP TRIGGER audit_head_moves_on ON audit_head;
DROP FUNCTION audit_guard_head();
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_append_only")]
    operations = [migrations.RunSQL(SQL, UNDO)]
