-- Conversations and messages for the scenario `reads`: $1 tenants' ids, $2 conversations and $3 messages of all of them together.
-- Ids are version 7, so that arrival (the last 30 days) is the order of ids, as the product has it.
CREATE FUNCTION pg_temp.id_at(at timestamptz, n bigint) RETURNS uuid LANGUAGE sql AS $$
  SELECT (substr(h, 1, 8) || '-' || substr(h, 9, 4) || '-7' || substr(md5(n::text), 1, 3) || '-8' || substr(md5(n::text), 4, 3) || '-' || lpad(to_hex(n), 12, '0'))::uuid
  FROM (SELECT lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') AS h) x
$$;

CREATE TEMPORARY TABLE reads_plan AS
SELECT n, tenant_id, pg_temp.id_at(now() - interval '30 days', n) AS customer_id, pg_temp.id_at(now() - interval '30 days', n + 1000000000) AS conversation_id
FROM generate_series(0, {conversations} - 1) n, LATERAL (SELECT (ARRAY[{tenants}])[1 + n % cardinality(ARRAY[{tenants}])] AS tenant_id) t;

INSERT INTO channel_instances (tenant_id, id, type, external_id, name, status)
SELECT t, gen_random_uuid(), 'WHATSAPP', (700000000 + t)::text, 'WhatsApp', 'CONNECTED' FROM unnest(ARRAY[{tenants}]) t;

INSERT INTO customers (tenant_id, id, phone_number, name)
SELECT tenant_id, customer_id, '+49170' || lpad(n::text, 8, '0'), 'Customer ' || n FROM reads_plan;

INSERT INTO chat_conversations (tenant_id, id, channel_instance_id, customer_id, status, channel_source, last_message_at, created_at)
SELECT p.tenant_id, p.conversation_id, c.id, p.customer_id, CASE WHEN p.n / 20 % 10 < 7 THEN 'open' WHEN p.n / 20 % 10 < 9 THEN 'closed' ELSE 'snoozed' END, 'whatsapp',
       now() - interval '30 days' * (1 - (p.n + 1)::float8 / {conversations}), now() - interval '30 days'
FROM reads_plan p JOIN channel_instances c ON c.tenant_id = p.tenant_id;

INSERT INTO chat_messages (tenant_id, id, conversation_id, channel_instance_id, external_id, direction, message_type, status, channel_source, content, sent_at, created_at)
SELECT p.tenant_id, pg_temp.id_at(at.at, m.n), p.conversation_id, c.id, 'wamid.' || m.n, CASE WHEN m.n % 2 = 0 THEN 'inbound' ELSE 'outbound' END, 'text',
       CASE WHEN m.n % 2 = 0 THEN 'received' ELSE 'read' END, 'whatsapp', 'Could you tell me whether my order has left the warehouse yet? ' || m.n, at.at, at.at
FROM generate_series(0, {messages} - 1) m(n)
JOIN reads_plan p ON p.n = m.n % {conversations}
JOIN channel_instances c ON c.tenant_id = p.tenant_id
CROSS JOIN LATERAL (SELECT now() - interval '30 days' * (1 - (m.n + 1)::float8 / {messages})) at(at);

INSERT INTO tickets (tenant_id, id, customer_id, subject, priority, status)
SELECT tenant_id, pg_temp.id_at(now(), n), customer_id, 'Ticket ' || n, (ARRAY['high', 'medium', 'low'])[1 + n % 3], (ARRAY['open', 'in_progress', 'closed'])[1 + n % 3]
FROM reads_plan WHERE n % 5 = 0;
