"""The guard of 0002, for approvals recorded in somebody else's name too: neither the recorder nor the person named may have
requested or edited the change, and nobody has a part in two decisions of one stage."""

from django.db import migrations

SQL = """
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
UNDO = """
CREATE OR REPLACE FUNCTION approvals_guard_decision() RETURNS trigger LANGUAGE plpgsql AS $$
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
"""


class Migration(migrations.Migration):
    dependencies = [("approvals", "0003_telephone")]
    operations = [migrations.RunSQL(SQL, UNDO)]
