-- Tools that answer later.
CREATE TABLE tool_callbacks (
  tenant_id        integer NOT NULL REFERENCES tenants (id),
  id               uuid NOT NULL,
  conversation_id  uuid NOT NULL,
  tool             text NOT NULL,
  arguments        jsonb NOT NULL,
  answered_at      timestamptz,
  result           text,
  told_at          timestamptz,
  created_at       timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  FOREIGN KEY (tenant_id, conversation_id) REFERENCES chat_conversations (tenant_id, id)
);
CREATE INDEX tool_callbacks_untold ON tool_callbacks (tenant_id, conversation_id, id) WHERE told_at IS NULL;
COMMENT ON TABLE tool_callbacks IS 'Calls of asynchronous tools: what they answered (answered_at), and whether the agent has answered the customer with it (told_at).';
CALL protect_tenant_table('tool_callbacks', 'SELECT');
