CREATE TABLE customers (
  tenant_id       integer NOT NULL REFERENCES tenants (id),
  id              uuid NOT NULL,
  phone_number    varchar(32),
  instagram_psid  varchar(64),
  facebook_psid   varchar(64),
  name            text,
  name_at         timestamptz,
  phone_at        timestamptz,
  merged_into     uuid,
  created_at      timestamptz NOT NULL DEFAULT now(),
  updated_at      timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, phone_number),
  FOREIGN KEY (tenant_id, merged_into) REFERENCES customers (tenant_id, id),
  CHECK (merged_into <> id)
);
-- Partial: nearly all are null, and a full index would tempt the planner to read a whole tenant by it.
CREATE UNIQUE INDEX customers_instagram ON customers (tenant_id, instagram_psid) WHERE instagram_psid IS NOT NULL;
CREATE UNIQUE INDEX customers_facebook ON customers (tenant_id, facebook_psid) WHERE facebook_psid IS NOT NULL;
CREATE INDEX customers_merged ON customers (tenant_id, merged_into) WHERE merged_into IS NOT NULL;
COMMENT ON TABLE customers IS 'A person who writes to a tenant. phone_number is E.164 with +. merged_into: this row and that one turned out to be one person; it keeps its id so that older links resolve. name_at, phone_at: the provider''s time of what told us, so that a repeated or late delivery brings nothing old back.';

CREATE TABLE customer_identities (
  tenant_id            integer NOT NULL,
  channel_instance_id  uuid NOT NULL,
  external_id          text NOT NULL CHECK (external_id <> ''),
  customer_id          uuid NOT NULL,
  created_at           timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, channel_instance_id, external_id),
  FOREIGN KEY (tenant_id, channel_instance_id) REFERENCES channel_instances (tenant_id, id),
  FOREIGN KEY (tenant_id, customer_id) REFERENCES customers (tenant_id, id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX customer_identities_customer ON customer_identities (tenant_id, customer_id);
COMMENT ON TABLE customer_identities IS 'How a channel names a person. One person may have several (WhatsApp: phone and user_id). The constraint to customers is deferred because the identity is written first and decides which customer is made.';

CREATE TABLE chat_conversations (
  tenant_id             integer NOT NULL,
  id                    uuid NOT NULL,
  channel_instance_id   uuid NOT NULL,
  customer_id           uuid NOT NULL,
  status                text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'closed', 'snoozed')),
  channel_source        varchar(32) NOT NULL,
  assigned_to           uuid,
  human_override_until  timestamptz,
  human_epoch           integer NOT NULL DEFAULT 0,
  merged_into           uuid,
  unread_count          integer NOT NULL DEFAULT 0,
  last_message_at       timestamptz,
  last_message_preview  text,
  meta                  jsonb NOT NULL DEFAULT '{}',
  created_at            timestamptz NOT NULL DEFAULT now(),
  closed_at             timestamptz,
  PRIMARY KEY (tenant_id, id),
  FOREIGN KEY (tenant_id, channel_instance_id) REFERENCES channel_instances (tenant_id, id),
  FOREIGN KEY (tenant_id, customer_id) REFERENCES customers (tenant_id, id)
) WITH (fillfactor = 80); -- room for HOT updates: every message moves last_message_at
-- At most one conversation of a customer on a channel is not closed; concurrent batches decide by this index.
CREATE UNIQUE INDEX chat_conversations_live ON chat_conversations (tenant_id, channel_instance_id, customer_id) WHERE status <> 'closed';
CREATE INDEX chat_conversations_merged ON chat_conversations (tenant_id, merged_into) WHERE merged_into IS NOT NULL;
CREATE INDEX chat_conversations_customer ON chat_conversations (tenant_id, customer_id);
COMMENT ON TABLE chat_conversations IS 'A thread with one customer on one channel. human_epoch counts a person''s interventions; a bot''s reply commits only if it is unchanged.';
