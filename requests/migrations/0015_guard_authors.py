"""Who wrote on a change stays its author: rows only grow, and whoever becomes its requester becomes one, also by plain SQL (X25)."""

from django.db import migrations

SQL = """
CREATE FUNCTION requests_keep_authors() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'whoever wrote on a change stays its author' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER requests_author_kept BEFORE UPDATE OR DELETE ON requests_author
    FOR EACH ROW EXECUTE FUNCTION requests_keep_authors();
CREATE TRIGGER requests_author_no_truncate BEFORE TRUNCATE ON requests_author
    FOR EACH STATEMENT EXECUTE FUNCTION requests_keep_authors();

CREATE FUNCTION requests_heir_is_author() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO requests_author (change_id, user_id) VALUES (NEW.id, NEW.requester_id), (NEW.id, OLD.requester_id)
        ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER requests_changerequest_heir AFTER UPDATE OF requester_id ON requests_changerequest
    FOR EACH ROW WHEN (NEW.requester_id <> OLD.requester_id) EXECUTE FUNCTION requests_heir_is_author();
"""
UNDO = """
DROP TRIGGER requests_changerequest_heir ON requests_changerequest;
DROP FUNCTION requests_heir_is_author();
DROP TRIGGER requests_author_no_truncate ON requests_author;
DROP TRIGGER requests_author_kept ON requests_author;
DROP FUNCTION requests_keep_authors();
"""


class Migration(migrations.Migration):
    dependencies = [("requests", "0014_guard_recorded")]
    operations = [migrations.RunSQL(SQL, UNDO)]
