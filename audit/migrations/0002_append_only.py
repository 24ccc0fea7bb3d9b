"""The trail refuses to be changed, and chains itself when a transaction commits.

Plain SQL triggers: nothing in Python can switch them off. Chaining happens in a deferred trigger, so that writers wait for one
another only for the moment of the commit, and never fork the chain.
"""

from django.db import migrations

SQL = """
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is append-only: % on % refused', TG_OP, TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_event_append_only BEFORE UPDATE OR DELETE ON audit_event FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_event_no_truncate BEFORE TRUNCATE ON audit_event FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_link_append_only BEFORE UPDATE OR DELETE ON audit_link FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_link_no_truncate BEFORE TRUNCATE ON audit_link FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();

-- What is hashed: every column of the event, unambiguously (a JSON array), in UTC whatever the session's zone.
CREATE FUNCTION audit_text(e audit_event) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_array(e.id, to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), e.action, e.actor_id, e.change_id,
                             e.data, e.via)::text
$$;

CREATE FUNCTION audit_seal(first_event bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    last_position bigint;
    last_hash text;
    e audit_event;
BEGIN
    INSERT INTO audit_head (only_row, position, hash) VALUES (true, 0, '') ON CONFLICT DO NOTHING;
    SELECT position, hash INTO last_position, last_hash FROM audit_head FOR UPDATE;
    FOR e IN SELECT * FROM audit_event x WHERE x.id >= first_event
             AND NOT EXISTS (SELECT 1 FROM audit_link l WHERE l.event_id = x.id) ORDER BY x.id LOOP
        last_position := last_position + 1;
        last_hash := encode(sha256(convert_to(last_hash || audit_text(e), 'UTF8')), 'hex');
        INSERT INTO audit_link (position, event_id, hash) VALUES (last_position, e.id, last_hash);
    END LOOP;
    UPDATE audit_head SET position = last_position, hash = last_hash;
END $$;

CREATE FUNCTION audit_seal_new() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM audit_link WHERE event_id = NEW.id) THEN
        PERFORM audit_seal(NEW.id);
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER audit_event_sealed AFTER INSERT ON audit_event
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit_seal_new();
"""

UNDO = """
DROP TRIGGER audit_event_sealed ON audit_event;
DROP FUNCTION audit_seal_new();
DROP FUNCTION audit_seal(bigint);
DROP FUNCTION audit_text(audit_event);
DROP TRIGGER audit_link_no_truncate ON audit_link;
DROP TRIGGER audit_link_append_only ON audit_link;
DROP TRIGGER audit_event_no_truncate ON audit_event;
DROP TRIGGER audit_event_append_only ON audit_event;
DROP FUNCTION audit_refuse();
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]
    operations = [migrations.RunSQL(SQL, UNDO)]
