"""Words come with their event, and go only by a redaction that says who and why (A41)."""

from django.db import migrations

SQL = """
CREATE FUNCTION audit_guard_words() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    which text;
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF EXISTS (SELECT 1 FROM audit_link l WHERE l.event_id = NEW.event_id) THEN
            RAISE EXCEPTION 'words come with their event, not later' USING ERRCODE = 'insufficient_privilege';
        END IF;
        RETURN NEW;
    END IF;
    IF NEW.event_id <> OLD.event_id
       OR (SELECT array_agg(k ORDER BY k) FROM jsonb_object_keys(NEW.texts) k)
          IS DISTINCT FROM (SELECT array_agg(k ORDER BY k) FROM jsonb_object_keys(OLD.texts) k)
       OR (SELECT array_agg(k ORDER BY k) FROM jsonb_object_keys(NEW.salts) k)
          IS DISTINCT FROM (SELECT array_agg(k ORDER BY k) FROM jsonb_object_keys(OLD.salts) k) THEN
        RAISE EXCEPTION 'the audit trail is append-only: words are taken by a redaction alone' USING ERRCODE = 'insufficient_privilege';
    END IF;
    FOR which IN SELECT jsonb_object_keys(OLD.texts) LOOP
        CONTINUE WHEN NEW.texts -> which = OLD.texts -> which AND NEW.salts -> which = OLD.salts -> which;
        IF NEW.texts -> which <> 'null'::jsonb OR NEW.salts -> which <> 'null'::jsonb
           OR NOT EXISTS (SELECT 1 FROM audit_redaction r WHERE r.words_id = OLD.event_id AND r.place = which) THEN
            RAISE EXCEPTION 'the audit trail is append-only: words are taken by a redaction alone' USING ERRCODE = 'insufficient_privilege';
        END IF;
    END LOOP;
    RETURN NEW;
END $$;
CREATE TRIGGER audit_words_guarded BEFORE INSERT OR UPDATE ON audit_words FOR EACH ROW EXECUTE FUNCTION audit_guard_words();
CREATE TRIGGER audit_words_kept BEFORE DELETE ON audit_words FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_words_no_truncate BEFORE TRUNCATE ON audit_words FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_redaction_append_only BEFORE UPDATE OR DELETE ON audit_redaction FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_redaction_no_truncate BEFORE TRUNCATE ON audit_redaction FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
"""
UNDO = """
DROP TRIGGER audit_redaction_no_truncate ON audit_redaction;
DROP TRIGGER audit_redaction_append_only ON audit_redaction;
DROP TRIGGER audit_words_no_truncate ON audit_words;
DROP TRIGGER audit_words_kept ON audit_words;
DROP TRIGGER audit_words_guarded ON audit_words;
DROP FUNCTION audit_guard_words();
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0004_words")]
    operations = [migrations.RunSQL(SQL, UNDO)]
