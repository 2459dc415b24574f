-- Webhooks of tenants who have them held: kept, and processed when the tenant enables them again.
CREATE TABLE held_webhook_events (
  tenant_id     integer NOT NULL REFERENCES tenants (id),
  raw_event_id  uuid NOT NULL,
  PRIMARY KEY (tenant_id, raw_event_id)
);
COMMENT ON TABLE held_webhook_events IS 'Raw events with a part for a tenant whose settings say webhookConfig.enabled = false. Written by the job that met the part, taken by the job that follows from enabling.';
CALL protect_tenant_table('held_webhook_events', 'SELECT');
