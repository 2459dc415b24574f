-- Every accepted webhook body, as received. Days are partitions: made ahead by api and worker, dropped when they are
-- older than the retention and nothing unfinished needs them. Nothing has a foreign key to this table.
CREATE TABLE raw_webhook_events (
  received_on   date NOT NULL,
  id            uuid NOT NULL,
  tenant_id     integer,
  channel_kind  text NOT NULL,
  channel_ids   text[] NOT NULL,
  trace_id      text,
  received_at   timestamptz NOT NULL,
  body          bytea NOT NULL,
  PRIMARY KEY (received_on, id)
) PARTITION BY RANGE (received_on);
CREATE INDEX raw_webhook_events_unrouted ON raw_webhook_events (received_at) WHERE tenant_id IS NULL;
COMMENT ON TABLE raw_webhook_events IS 'Webhook bodies as received. tenant_id is null when the body names no known channel, or channels of several tenants; channel_ids are the provider''s channel ids it names.';

-- Creates the partition of a day if it is missing. Safe to call from several processes at once.
CREATE FUNCTION ensure_day_partition(parent text, day date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  child text := format('%s_%s', parent, to_char(day, 'YYYYMMDD'));
BEGIN
  IF to_regclass(child) IS NOT NULL THEN RETURN; END IF;
  PERFORM pg_advisory_xact_lock(hashtext('ensure_day_partition'));
  IF to_regclass(child) IS NOT NULL THEN RETURN; END IF;
  EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', child, parent);
  -- ATTACH takes a weaker lock on the parent than CREATE ... PARTITION OF, so ingest goes on meanwhile.
  EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, child, day, day + 1);
END
$$;
COMMENT ON FUNCTION ensure_day_partition(text, date) IS 'Makes the partition <parent>_YYYYMMDD if it is missing.';

-- Drops the partition of a day. Gives up after a tenth of a second, to be called again later, when ingest holds the table.
CREATE FUNCTION drop_day_partition(parent text, day date) RETURNS void LANGUAGE plpgsql SET lock_timeout = '100ms' AS $$
BEGIN
  EXECUTE format('DROP TABLE IF EXISTS %I', format('%s_%s', parent, to_char(day, 'YYYYMMDD')));
END
$$;
COMMENT ON FUNCTION drop_day_partition(text, date) IS 'Drops the partition <parent>_YYYYMMDD.';
