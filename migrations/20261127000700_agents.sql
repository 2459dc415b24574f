-- Agents: who answers when no person does.
CREATE TABLE agents (
  tenant_id      integer NOT NULL REFERENCES tenants (id),
  id             uuid NOT NULL,
  name           text NOT NULL,
  description    text,
  system_prompt  text NOT NULL,
  model          text,
  temperature    real CHECK (temperature BETWEEN 0 AND 2),
  max_tokens     integer CHECK (max_tokens > 0),
  active         boolean NOT NULL DEFAULT true,
  created_at     timestamptz NOT NULL DEFAULT now(),
  updated_at     timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, name)
);
-- Every batch of webhooks asks which of its tenants have one.
CREATE INDEX agents_active ON agents (tenant_id, created_at, id) WHERE active;
COMMENT ON TABLE agents IS 'AI agents. The oldest active one of a tenant answers. model null: the one that the server is set up with.';
CALL protect_tenant_table('agents');

ALTER TABLE chat_conversations ADD replied_through uuid, ADD auto_replied_at timestamptz;
COMMENT ON COLUMN chat_conversations.replied_through IS 'The newest inbound message that an agent has answered, or decided not to; what is newer waits for an answer.';
COMMENT ON COLUMN chat_conversations.auto_replied_at IS 'When an agent last answered: the next answer waits for the cooldown.';

CREATE TABLE agent_runs (
  tenant_id          integer NOT NULL REFERENCES tenants (id),
  id                 uuid NOT NULL,
  agent_id           uuid NOT NULL,
  conversation_id    uuid NOT NULL,
  message_id         uuid,
  outcome            text NOT NULL CHECK (outcome IN ('replied', 'overtaken', 'failed')),
  model              text,
  prompt_tokens      integer NOT NULL DEFAULT 0,
  completion_tokens  integer NOT NULL DEFAULT 0,
  error              text,
  created_at         timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id)
);
CREATE INDEX agent_runs_conversation ON agent_runs (tenant_id, conversation_id, id);
COMMENT ON TABLE agent_runs IS 'What agents did: each answer, each that came too late because a person was faster, and each that failed, with the tokens it took.';
CALL protect_tenant_table('agent_runs', 'SELECT');
