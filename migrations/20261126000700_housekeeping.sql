-- What housekeeping looks for, and where channels keep what is never shown.
CREATE INDEX refresh_tokens_used ON refresh_tokens (used_at) WHERE used_at IS NOT NULL;

ALTER TABLE channel_instances
  ADD COLUMN secrets jsonb NOT NULL DEFAULT '{}',
  ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now();
COMMENT ON COLUMN channel_instances.secrets IS 'Sealed values by name (see platform::sealing); config has what may be shown.';

-- Lists of tickets walk an index for each status and priority that is asked for; how many there are is counted as they change.
DROP INDEX tickets_status;
DROP INDEX tickets_assigned;
CREATE INDEX tickets_status ON tickets (tenant_id, status, priority, number);
CREATE INDEX tickets_assigned ON tickets (tenant_id, assigned_to, status, priority, number);
CREATE INDEX calendar_events_made ON calendar_events (tenant_id, created_by, start_time, number);
DROP INDEX calendar_events_created_by;

CREATE FUNCTION count_ticket() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF TG_OP <> 'INSERT' THEN
    INSERT INTO count_changes (tenant_id, measure, day, n) VALUES (OLD.tenant_id, 'ticket:' || OLD.status, '1970-01-01', -1);
  END IF;
  IF TG_OP <> 'DELETE' THEN
    INSERT INTO count_changes (tenant_id, measure, day, n) VALUES (NEW.tenant_id, 'ticket:' || NEW.status, '1970-01-01', 1);
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER count_inserted AFTER INSERT OR DELETE ON tickets FOR EACH ROW EXECUTE FUNCTION count_ticket();
CREATE TRIGGER count_updated AFTER UPDATE ON tickets FOR EACH ROW WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION count_ticket();
INSERT INTO counts (tenant_id, measure, day, n) SELECT tenant_id, 'ticket:' || status, '1970-01-01', count(*) FROM tickets GROUP BY 1, 2;

-- Operators and services name conversations without their tenant.
CREATE INDEX chat_conversations_id ON chat_conversations (id);
-- What failed lately.
CREATE FUNCTION first_id_at(at timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid
$$;
COMMENT ON FUNCTION first_id_at(timestamptz) IS 'The smallest version 7 uuid of that millisecond.';
CREATE INDEX chat_messages_failed ON chat_messages (id) WHERE status = 'failed';
CREATE INDEX jobs_dead_died ON jobs_dead (died_at);

-- The totals of all tenants are folded as tenant 0.
INSERT INTO counts (tenant_id, measure, day, n) SELECT 0, measure, day, sum(n) FROM counts GROUP BY measure, day;
