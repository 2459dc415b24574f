-- Where a session is, in the words of the agent platform.
CREATE FUNCTION session_status(v chat_conversations) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT CASE
    WHEN v.status = 'closed' THEN 'resolved'
    WHEN v.assigned_to IS NOT NULL OR coalesce(v.human_override_until > ledger_now(), false) THEN 'assigned'
    ELSE coalesce((SELECT CASE WHEN e.assigned_to IS NULL THEN 'escalated' ELSE 'assigned' END FROM escalations e
                   WHERE e.tenant_id = v.tenant_id AND e.conversation_id = v.id AND e.resolved_at IS NULL), 'active') END
$$;
COMMENT ON FUNCTION session_status(chat_conversations) IS 'active, escalated (waits for a person), assigned (is with one), resolved (closed).';

CREATE TABLE tenant_permissions (
  tenant_id   integer PRIMARY KEY REFERENCES tenants (id),
  agent_ids   uuid[],
  tool_ids    uuid[],
  updated_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE tenant_permissions IS 'Which of its agents and tools a tenant may use. Null, and no row: all.';
CALL protect_tenant_table('tenant_permissions');

-- Full text is found by an index that only bitmaps can use, which connections have switched off.
CREATE FUNCTION search_passages(tenant integer, wanted tsquery, most bigint) RETURNS TABLE (document_id uuid, ordinal integer)
  LANGUAGE plpgsql STABLE SET enable_bitmapscan = on SET plan_cache_mode = force_custom_plan AS $$
BEGIN
  RETURN QUERY SELECT c.document_id, c.ordinal FROM knowledge_chunks c WHERE c.tenant_id = tenant AND c.words @@ wanted
    ORDER BY ts_rank(c.words, wanted) DESC, c.document_id, c.ordinal LIMIT most;
END
$$;
COMMENT ON FUNCTION search_passages(integer, tsquery, bigint) IS 'The chunks of a tenant that hold the wanted words, the best first.';
