-- What waits to be sent and what became of it, under the name and in the words that the inbox knows. `status` says how far the message is, not its job:
-- SENT means that the provider has it. DEAD: it was given up for now, and its job can be driven again.
CREATE INDEX jobs_dead_idempotency ON jobs_dead (kind, idempotency_key) WHERE idempotency_key IS NOT NULL;

CREATE VIEW channel_message_queue WITH (security_invoker = true) AS
SELECT m.id AS message_id, m.tenant_id, m.channel_instance_id, m.conversation_id, coalesce(j.id, d.id) AS job_id,
       CASE WHEN m.status = 'failed' AND d.id IS NOT NULL THEN 'DEAD'
            WHEN m.status = 'failed' THEN 'FAILED'
            WHEN m.status IN ('sent', 'delivered', 'read') THEN 'SENT'
            WHEN m.status IN ('sending', 'unknown') THEN 'SENDING'
            ELSE 'PENDING' END AS status,
       coalesce(j.attempt, d.attempt, 0) AS attempts, j.run_at AS next_retry_at, m.errors AS last_error, m.created_at
FROM chat_messages m
LEFT JOIN jobs j ON j.kind = 'send_outbound' AND j.idempotency_key = m.id::text
LEFT JOIN jobs_dead d ON d.kind = 'send_outbound' AND d.idempotency_key = m.id::text
-- What people sent from the business's phone was never ours to send.
WHERE m.direction = 'outbound' AND m.conversation_id IS NOT NULL AND (NOT m.human_override OR m.meta ? 'sent_by');
COMMENT ON VIEW channel_message_queue IS 'Messages to customers: PENDING, SENDING, SENT, FAILED or DEAD, and when the next try is due. Served by the job ledger.';
GRANT SELECT ON channel_message_queue TO switchboard_api, switchboard_worker, switchboard_operator;
