-- Stores the rows of the temporary table outbound_seed (wamid, phone_number_id, wa_id, name) as messages that the
-- business has sent and no receipt has come for: status pending. Customers and conversations are made as needed.

-- PostgreSQL before 18 has no uuidv7(); this one keeps its order in time, so indexes grow at their end as in production.
CREATE FUNCTION pg_temp.bench_uuid7() RETURNS uuid LANGUAGE sql VOLATILE AS $$
  SELECT (lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') || '7' || substr(r, 1, 3) || '8' || substr(r, 4, 15))::uuid
  FROM replace(gen_random_uuid()::text, '-', '') AS r
$$;

CREATE TEMPORARY TABLE bench_people AS
SELECT p.*, pg_temp.bench_uuid7() AS customer_id, pg_temp.bench_uuid7() AS conversation_id
FROM (SELECT DISTINCT ON (c.tenant_id, c.id, s.wa_id) c.tenant_id, c.id AS channel_instance_id, s.wa_id, s.name
      FROM outbound_seed s JOIN channel_instances c ON c.type = 'WHATSAPP' AND c.external_id = s.phone_number_id
      ORDER BY c.tenant_id, c.id, s.wa_id) p;

INSERT INTO customers (tenant_id, id, phone_number, name)
SELECT tenant_id, customer_id, '+' || wa_id, name FROM bench_people;

INSERT INTO customer_identities (tenant_id, channel_instance_id, external_id, customer_id)
SELECT tenant_id, channel_instance_id, wa_id, customer_id FROM bench_people;

INSERT INTO chat_conversations (tenant_id, id, channel_instance_id, customer_id, channel_source, last_message_at)
SELECT tenant_id, conversation_id, channel_instance_id, customer_id, 'whatsapp', now() - interval '1 hour' FROM bench_people;

INSERT INTO chat_messages (tenant_id, id, conversation_id, channel_instance_id, external_id, direction, message_type, status, channel_source,
                           content, sent_at)
SELECT p.tenant_id, pg_temp.bench_uuid7(), p.conversation_id, p.channel_instance_id, s.wamid, 'outbound', 'text', 'pending', 'whatsapp',
       'Your order is on its way.', now() - interval '1 hour'
FROM outbound_seed s
JOIN channel_instances c ON c.type = 'WHATSAPP' AND c.external_id = s.phone_number_id
JOIN bench_people p ON p.tenant_id = c.tenant_id AND p.channel_instance_id = c.id AND p.wa_id = s.wa_id;

DROP TABLE bench_people, outbound_seed;
