-- No foreign keys on purpose: a message is written only in the transaction that holds its conversation's row, and a
-- trigger per row costs a fifth of the ingest rate.
CREATE TABLE chat_messages (
  tenant_id            integer NOT NULL,
  id                   uuid NOT NULL,
  conversation_id      uuid,
  channel_instance_id  uuid NOT NULL,
  external_id          text CHECK (external_id <> ''),
  direction            text NOT NULL CHECK (direction IN ('inbound', 'outbound', 'system')),
  message_type         varchar(32) NOT NULL,
  status               text NOT NULL CHECK (status IN ('pending', 'sending', 'sent', 'delivered', 'read', 'failed', 'unknown', 'received')),
  human_override       boolean NOT NULL DEFAULT false,
  channel_source       varchar(32) NOT NULL,
  content              text,
  media                jsonb,
  reply_to             text,
  reactions            jsonb,
  errors               jsonb,
  meta                 jsonb,
  sent_at              timestamptz NOT NULL,
  edited_at            timestamptz,
  revoked_at           timestamptz,
  created_at           timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  -- A receipt, edit, revoke or reaction may come before its message: it makes the row, without a conversation, and the
  -- message fills it in. No list shows a row without a conversation.
  CHECK (conversation_id IS NOT NULL OR message_type = 'placeholder')
) WITH (fillfactor = 90);
CREATE UNIQUE INDEX chat_messages_external ON chat_messages (tenant_id, channel_instance_id, external_id);
CREATE INDEX chat_messages_conversation ON chat_messages (tenant_id, conversation_id, sent_at, id);
COMMENT ON TABLE chat_messages IS 'One message in a conversation, in the order of sent_at (the provider''s time), then id (arrival). external_id is the provider''s message id, unique per channel instance.';

CREATE FUNCTION message_status_rank(status text) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE status WHEN 'pending' THEN 0 WHEN 'sending' THEN 1 WHEN 'unknown' THEN 2 WHEN 'sent' THEN 3
    WHEN 'failed' THEN 4 WHEN 'delivered' THEN 5 WHEN 'read' THEN 6 ELSE 7 END
$$;
COMMENT ON FUNCTION message_status_rank(text) IS 'Order of progress, the same as domain::DeliveryStatus: of two statuses the greater one stays.';

CREATE FUNCTION merge_reactions(old jsonb, new jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT jsonb_object_agg(coalesce(o.key, n.key), CASE
    WHEN o.key IS NULL OR (n.value ->> 'at')::bigint > (o.value ->> 'at')::bigint THEN n.value
    WHEN n.key IS NULL OR (n.value ->> 'at')::bigint < (o.value ->> 'at')::bigint OR (o.value -> 'ids') @> (n.value -> 'ids') THEN o.value
    ELSE n.value || jsonb_build_object('ids', (o.value -> 'ids') || (n.value -> 'ids')) END)
  FROM jsonb_each(coalesce(old, '{}')) o FULL JOIN jsonb_each(new) n ON n.key = o.key
$$;
COMMENT ON FUNCTION merge_reactions(jsonb, jsonb) IS 'Each person''s latest reaction of both, by the provider''s time; of equal times the new one, unless it was seen before (ids).';
