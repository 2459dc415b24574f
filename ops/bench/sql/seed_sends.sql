-- Customers of the channel {number} who wrote a minute ago, for the scenario `sends`.
WITH channel AS (SELECT tenant_id, id FROM channel_instances WHERE external_id = '{number}'),
person AS (
  INSERT INTO customers (tenant_id, id, phone_number, name)
  SELECT c.tenant_id, gen_random_uuid(), '+1555' || lpad(n::text, 7, '0'), 'Customer ' || n FROM channel c, generate_series(0, {conversations} - 1) n
  RETURNING tenant_id, id, phone_number),
known AS (
  INSERT INTO customer_identities (tenant_id, channel_instance_id, external_id, customer_id)
  SELECT p.tenant_id, c.id, ltrim(p.phone_number, '+'), p.id FROM person p, channel c),
conversation AS (
  INSERT INTO chat_conversations (tenant_id, id, channel_instance_id, customer_id, channel_source, last_message_at, last_inbound_at)
  SELECT p.tenant_id, gen_random_uuid(), c.id, p.id, 'whatsapp', now() - interval '1 minute', now() - interval '1 minute' FROM person p, channel c
  RETURNING tenant_id, id, channel_instance_id)
INSERT INTO chat_messages (tenant_id, id, conversation_id, channel_instance_id, external_id, direction, message_type, status, channel_source, content, sent_at)
SELECT tenant_id, gen_random_uuid(), id, channel_instance_id, 'wamid.in.' || id, 'inbound', 'text', 'received', 'whatsapp', 'hello', now() - interval '1 minute'
FROM conversation;
