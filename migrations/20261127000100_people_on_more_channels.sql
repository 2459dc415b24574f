-- Messenger tells "delivered" and "read" of all messages up to a moment. It is kept by the person's id, so that a message which is written after its receipt
-- came gets it too, and so that a receipt may come before the person is known.
CREATE TABLE seen_marks (
  tenant_id            integer NOT NULL,
  channel_instance_id  uuid NOT NULL,
  external_id          text COLLATE "C" NOT NULL CHECK (external_id <> ''),
  delivered_until      timestamptz,
  read_until           timestamptz,
  PRIMARY KEY (tenant_id, channel_instance_id, external_id),
  FOREIGN KEY (tenant_id, channel_instance_id) REFERENCES channel_instances (tenant_id, id)
);
COMMENT ON TABLE seen_marks IS 'Until when everything sent to a person on a channel was delivered and read, where the provider says it so. Written with the receipts, read when a message is found sent.';
CALL protect_tenant_table('seen_marks', 'SELECT');

-- What such a mark may still move.
CREATE INDEX chat_messages_unseen ON chat_messages (tenant_id, conversation_id, sent_at)
  WHERE direction = 'outbound' AND status IN ('sent', 'delivered') AND channel_source IN ('facebook', 'instagram');

-- The picture that the person shows on a channel.
ALTER TABLE customers ADD avatar_url text;
COMMENT ON COLUMN customers.avatar_url IS 'Where the provider shows the person''s picture; may expire there.';

-- Meta's handshake shows a token that a tenant, or a channel, has chosen.
CREATE INDEX tenants_verify_token ON tenants ((settings #>> '{webhookConfig,verifyToken}')) WHERE settings #>> '{webhookConfig,verifyToken}' IS NOT NULL;
CREATE INDEX channel_instances_verify_token ON channel_instances ((config ->> 'verifyToken')) WHERE config ->> 'verifyToken' IS NOT NULL;
