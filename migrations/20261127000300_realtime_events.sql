-- What changed, for those who watch. A row is written in the transaction that makes the change: one for each tenant of a batch. It holds ids only; whoever
-- delivers it shows the rows as they are then.
--
-- Rows are read in the order of their transactions, below the oldest one that still runs (pg_snapshot_xmin): what is read can have nothing before it that
-- comes later. So (xid, id) is a position from which a client can go on.
CREATE TABLE realtime_events (
  xid        xid8 NOT NULL DEFAULT pg_current_xact_id(),
  id         bigint GENERATED ALWAYS AS IDENTITY,
  tenant_id  integer NOT NULL,
  at         timestamptz NOT NULL DEFAULT now(),
  -- [{"kind", "channel", "conversation", "message" ...}]
  events     jsonb NOT NULL,
  PRIMARY KEY (xid, id)
);
CREATE INDEX realtime_events_tenant ON realtime_events (tenant_id, xid, id);
COMMENT ON TABLE realtime_events IS 'What changed lately, by transaction; kept for an hour, so that clients that were away get what they missed. Written with the change, read by every API process, removed by the housekeeping.';
CALL protect_tenant_table('realtime_events', 'SELECT, INSERT');

-- The beginning: a position that is always kept, so that one who has seen nothing yet has a place to go on from.
INSERT INTO realtime_events (tenant_id, events) VALUES (0, '[]');
