"""What is approved has its decisions, and whoever decided held the role: also for whoever goes round the application (X25, promise 1).

Rows of the demonstration's loader are exempt: they arrive whole, in an order of their own.
"""

from django.db import migrations

SQL = """
CREATE FUNCTION approvals_is_loaded(key bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT 1 FROM requests_changerequest c WHERE c.id = key AND c.origin <> 'app')
$$;

CREATE FUNCTION approvals_guard_step() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    given integer;
BEGIN
    IF NEW.state NOT IN ('approved', 'waived') OR (TG_OP = 'UPDATE' AND OLD.state = NEW.state) OR approvals_is_loaded(NEW.change_id) THEN
        RETURN NEW;
    END IF;
    SELECT count(DISTINCT coalesce(d.on_behalf_of_id, d.actor_id)) INTO given FROM approvals_decision d
        WHERE d.step_id = NEW.id AND d.verdict = CASE NEW.state WHEN 'waived' THEN 'waive' ELSE 'approve' END;
    IF given < (CASE WHEN NEW.state = 'waived' THEN 1 WHEN NEW.mode = 'all' THEN cardinality(NEW.roles) ELSE NEW.needed END) THEN
        RAISE EXCEPTION 'a step is % by its decisions alone', NEW.state USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER approvals_step_guard BEFORE INSERT OR UPDATE OF state ON approvals_step
    FOR EACH ROW EXECUTE FUNCTION approvals_guard_step();

CREATE FUNCTION approvals_guard_role() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    step approvals_step;
BEGIN
    IF approvals_is_loaded(NEW.change_id) THEN
        RETURN NEW;
    END IF;
    SELECT * INTO step FROM approvals_step s WHERE s.id = NEW.step_id;
    IF step.change_id <> NEW.change_id OR step.round <> NEW.round OR NOT NEW.role = ANY(NEW.roles_held) OR NOT NEW.roles_held <@ step.roles
       OR EXISTS (SELECT 1 FROM unnest(NEW.roles_held) held WHERE NOT EXISTS (
              SELECT 1 FROM accounts_user_groups m JOIN auth_group g ON g.id = m.group_id
              WHERE m.user_id = coalesce(NEW.on_behalf_of_id, NEW.actor_id) AND g.name = held)) THEN
        RAISE EXCEPTION 'whoever decides holds the role that the step asks for' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER approvals_decision_role BEFORE INSERT ON approvals_decision
    FOR EACH ROW EXECUTE FUNCTION approvals_guard_role();

CREATE FUNCTION approvals_guard_approval() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM approvals_step s WHERE s.change_id = NEW.id AND s.round = NEW.round AND NOT s.deferred)
       OR EXISTS (SELECT 1 FROM approvals_step s WHERE s.change_id = NEW.id AND s.round = NEW.round AND NOT s.deferred
                  AND s.state NOT IN ('approved', 'waived') AND NOT (NEW.priority = 'P0' AND s.ratify_by IS NOT NULL)) THEN
        RAISE EXCEPTION 'a change is approved by the steps of its round alone' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER requests_changerequest_approval BEFORE UPDATE OF state ON requests_changerequest
    FOR EACH ROW WHEN (OLD.state = 'in_review' AND NEW.state = 'approved' AND NEW.origin = 'app')
    EXECUTE FUNCTION approvals_guard_approval();
"""
UNDO = """
DROP TRIGGER requests_changerequest_approval ON requests_changerequest;
DROP FUNCTION approvals_guard_approval();
DROP TRIGGER approvals_decision_role ON approvals_decision;
DROP FUNCTION approvals_guard_role();
DROP TRIGGER approvals_step_guard ON approvals_step;
DROP FUNCTION approvals_guard_step();
DROP FUNCTION approvals_is_loaded(bigint);
"""


class Migration(migrations.Migration):
    dependencies = [("approvals", "0012_queue_order"), ("accounts", "0004_handover"), ("requests", "0015_guard_authors")]
    operations = [migrations.RunSQL(SQL, UNDO)]
