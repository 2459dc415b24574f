-- When the customer last wrote: what providers allow to be sent depends on it, and it is asked for every message that is sent.
ALTER TABLE chat_conversations ADD last_inbound_at timestamptz;
COMMENT ON COLUMN chat_conversations.last_inbound_at IS 'The time of the customer''s latest message on the channel; a conversation that follows a closed one begins with its.';
UPDATE chat_conversations c SET last_inbound_at = m.sent_at
FROM (SELECT v.tenant_id, v.id, x.sent_at FROM chat_conversations v CROSS JOIN LATERAL (
        SELECT i.sent_at FROM chat_messages i WHERE i.tenant_id = v.tenant_id AND i.conversation_id = v.id AND i.direction = 'inbound'
        ORDER BY i.tenant_id, i.conversation_id, i.sent_at DESC LIMIT 1) x) m
WHERE c.tenant_id = m.tenant_id AND c.id = m.id;
