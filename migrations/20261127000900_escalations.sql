-- Escalations: a conversation waits for a person.
CREATE TABLE escalations (
  tenant_id        integer NOT NULL,
  id               uuid NOT NULL,
  conversation_id  uuid NOT NULL,
  raised_by        text NOT NULL CHECK (raised_by IN ('agent', 'person', 'failure')),
  reason           text NOT NULL,
  assigned_to      uuid,
  assigned_at      timestamptz,
  resolved_at      timestamptz,
  note             text,
  created_at       timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  FOREIGN KEY (tenant_id, conversation_id) REFERENCES chat_conversations (tenant_id, id),
  CONSTRAINT escalations_assigned FOREIGN KEY (tenant_id, assigned_to) REFERENCES users (tenant_id, id) ON DELETE SET NULL (assigned_to)
);
-- A conversation waits once, whoever says so.
CREATE UNIQUE INDEX escalations_open ON escalations (tenant_id, conversation_id) WHERE resolved_at IS NULL;
CREATE INDEX escalations_queue ON escalations (tenant_id, created_at, id) WHERE resolved_at IS NULL;
CREATE INDEX escalations_assignee ON escalations (tenant_id, assigned_to, created_at, id) WHERE resolved_at IS NULL AND assigned_to IS NOT NULL;
CREATE INDEX escalations_conversation ON escalations (tenant_id, conversation_id, id);
COMMENT ON TABLE escalations IS 'A conversation that waits for a person (assigned_to null), is with one, or was (resolved_at). raised_by failure: the model failed; an agent that can answer again resolves it if nobody has taken it.';
CALL protect_tenant_table('escalations');

ALTER TABLE agent_runs DROP CONSTRAINT agent_runs_outcome_check;
ALTER TABLE agent_runs ADD CONSTRAINT agent_runs_outcome_check CHECK (outcome IN ('replied', 'overtaken', 'failed', 'escalated'));
