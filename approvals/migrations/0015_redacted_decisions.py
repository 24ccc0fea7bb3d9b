"""A decision is never changed, but that a redaction takes its words (A41): its comment, and why an item was not applicable."""

from django.db import migrations

SQL = """
CREATE OR REPLACE FUNCTION approvals_guard_decision() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    people bigint[] := ARRAY[NEW.actor_id, coalesce(NEW.on_behalf_of_id, NEW.actor_id)];
    item text;
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'a decision is never changed' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF TG_OP = 'UPDATE' THEN
        IF to_jsonb(NEW) - 'comment' - 'checklist' <> to_jsonb(OLD) - 'comment' - 'checklist'
           OR NEW.comment NOT IN (OLD.comment, '[redacted]')
           OR (SELECT array_agg(k ORDER BY k) FROM jsonb_object_keys(NEW.checklist) k)
              IS DISTINCT FROM (SELECT array_agg(k ORDER BY k) FROM jsonb_object_keys(OLD.checklist) k)
           OR NOT EXISTS (SELECT 1 FROM audit_redaction r JOIN audit_event e ON e.id = r.words_id WHERE e.change_id = NEW.change_id) THEN
            RAISE EXCEPTION 'a decision is never changed' USING ERRCODE = 'insufficient_privilege';
        END IF;
        FOR item IN SELECT jsonb_object_keys(OLD.checklist) LOOP
            IF NEW.checklist -> item <> OLD.checklist -> item AND NEW.checklist -> item <> '{"not_applicable": "[redacted]"}'::jsonb THEN
                RAISE EXCEPTION 'a decision is never changed' USING ERRCODE = 'insufficient_privilege';
            END IF;
        END LOOP;
        RETURN NEW;
    END IF;
    IF EXISTS (SELECT 1 FROM requests_author a WHERE a.change_id = NEW.change_id AND a.user_id = ANY(people))
       OR EXISTS (SELECT 1 FROM requests_changerequest c WHERE c.id = NEW.change_id AND c.requester_id = ANY(people)) THEN
        RAISE EXCEPTION 'whoever requested a change or edited its content does not decide on it' USING ERRCODE = 'check_violation';
    END IF;
    IF EXISTS (SELECT 1 FROM approvals_decision d
               WHERE d.change_id = NEW.change_id AND d.round = NEW.round AND d.deferred = NEW.deferred AND d.stage = NEW.stage
                 AND (d.actor_id = ANY(people) OR d.on_behalf_of_id = ANY(people))) THEN
        RAISE EXCEPTION 'each stage takes different people' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
"""
UNDO = """
CREATE OR REPLACE FUNCTION approvals_guard_decision() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    people bigint[] := ARRAY[NEW.actor_id, coalesce(NEW.on_behalf_of_id, NEW.actor_id)];
BEGIN
    IF TG_OP <> 'INSERT' THEN
        RAISE EXCEPTION 'a decision is never changed' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF EXISTS (SELECT 1 FROM requests_author a WHERE a.change_id = NEW.change_id AND a.user_id = ANY(people))
       OR EXISTS (SELECT 1 FROM requests_changerequest c WHERE c.id = NEW.change_id AND c.requester_id = ANY(people)) THEN
        RAISE EXCEPTION 'whoever requested a change or edited its content does not decide on it' USING ERRCODE = 'check_violation';
    END IF;
    IF EXISTS (SELECT 1 FROM approvals_decision d
               WHERE d.change_id = NEW.change_id AND d.round = NEW.round AND d.deferred = NEW.deferred AND d.stage = NEW.stage
                 AND (d.actor_id = ANY(people) OR d.on_behalf_of_id = ANY(people))) THEN
        RAISE EXCEPTION 'each stage takes different people' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("approvals", "0014_vacancies"), ("audit", "0005_guard_words")]
    operations = [migrations.RunSQL(SQL, UNDO)]
