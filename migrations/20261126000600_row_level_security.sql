-- Three roles that processes take on with SET ROLE. Roles belong to the whole server, so they may exist already.
--   switchboard_api       what a tenant's request may do: rows of that tenant, which the transaction names
--   switchboard_worker    taking webhooks and running jobs: rows of all tenants
--   switchboard_operator  operators and signing in: rows of all tenants
DO $$
DECLARE
  role text;
BEGIN
  FOREACH role IN ARRAY ARRAY['switchboard_api', 'switchboard_worker', 'switchboard_operator'] LOOP
    BEGIN
      EXECUTE format('CREATE ROLE %I NOLOGIN NOBYPASSRLS', role);
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
      NULL; -- another database of this server, perhaps at this moment
    END;
    IF NOT pg_has_role(current_user, role, 'USAGE') THEN
      EXECUTE format('GRANT %I TO CURRENT_USER', role);
    END IF;
  END LOOP;
  -- Policies let them see all rows as well; without having to ask them, a batch of messages is a tenth cheaper. Only a superuser may
  -- give this right.
  BEGIN
    ALTER ROLE switchboard_worker BYPASSRLS;
    ALTER ROLE switchboard_operator BYPASSRLS;
  EXCEPTION WHEN OTHERS THEN -- also when another database of this server does it at this moment
    RAISE NOTICE 'switchboard_worker goes by policies: %', SQLERRM;
  END;
END
$$;

-- The tenant that this transaction is for; null, and so nobody's rows, when it names none.
CREATE FUNCTION current_tenant() RETURNS integer LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT nullif(current_setting('switchboard.tenant_id', true), '')::integer
$$;
COMMENT ON FUNCTION current_tenant() IS 'The tenant of this transaction: SET LOCAL switchboard.tenant_id.';

-- To be called once for each table that holds rows of tenants. Written as a sub-select, the tenant is found once a statement.
CREATE PROCEDURE protect_tenant_table(target regclass, api_may text DEFAULT 'SELECT, INSERT, UPDATE, DELETE', tenant_column text DEFAULT 'tenant_id') LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
  EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', target);
  EXECUTE format('CREATE POLICY own_tenant ON %s TO switchboard_api USING (%I = (SELECT current_tenant())) WITH CHECK (%I = (SELECT current_tenant()))',
                 target, tenant_column, tenant_column);
  EXECUTE format('CREATE POLICY all_tenants ON %s TO switchboard_worker, switchboard_operator USING (true) WITH CHECK (true)', target);
  EXECUTE format('GRANT %s ON %s TO switchboard_api', api_may, target);
  EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO switchboard_worker, switchboard_operator', target);
END
$$;
COMMENT ON PROCEDURE protect_tenant_table(regclass, text, text) IS 'Forces row-level security on a table of tenants'' rows.';

CALL protect_tenant_table('tenants', 'SELECT, UPDATE', 'id');
CALL protect_tenant_table('channel_instances');
CALL protect_tenant_table('customers');
CALL protect_tenant_table('customer_identities');
CALL protect_tenant_table('chat_conversations');
CALL protect_tenant_table('chat_messages');
CALL protect_tenant_table('raw_webhook_events', 'SELECT');
CALL protect_tenant_table('jobs', 'SELECT, INSERT');
CALL protect_tenant_table('jobs_done', 'SELECT');
CALL protect_tenant_table('jobs_dead', 'SELECT');
CALL protect_tenant_table('users');
CALL protect_tenant_table('user_sessions');
CALL protect_tenant_table('refresh_tokens', 'SELECT, DELETE');
CALL protect_tenant_table('user_identities', 'SELECT, INSERT, DELETE');
CALL protect_tenant_table('tickets');
CALL protect_tenant_table('calendar_events');
CALL protect_tenant_table('message_templates');
CALL protect_tenant_table('contact_imports');
CALL protect_tenant_table('contact_import_rows');
CALL protect_tenant_table('counts', 'SELECT');
CALL protect_tenant_table('count_changes', 'SELECT');
CALL protect_tenant_table('idempotency_keys');
CALL protect_tenant_table('audit_log', 'SELECT, INSERT');

GRANT SELECT, INSERT, UPDATE, DELETE ON job_workers, job_leader, job_queues, operator_acts TO switchboard_worker, switchboard_operator;
GRANT USAGE ON SEQUENCE job_positions, job_ordering TO switchboard_api;
GRANT USAGE, SELECT ON SEQUENCE job_positions, job_ordering TO switchboard_worker, switchboard_operator;

-- What only the owner of the tables may do, for the worker's chores and the API's partitions.
ALTER FUNCTION ensure_day_partition(text, date) SECURITY DEFINER SET search_path = public, pg_temp;
ALTER FUNCTION drop_day_partition(text, date) SECURITY DEFINER SET search_path = public, pg_temp;
CREATE FUNCTION refresh_statistics() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  ANALYZE jobs, customers, customer_identities, chat_conversations, chat_messages;
END
$$;
COMMENT ON FUNCTION refresh_statistics() IS 'ANALYZE of the tables that change fastest.';

CREATE FUNCTION put_off_leader(leader_key bigint, limit_seconds float8) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM pg_terminate_backend(l.pid)
  FROM pg_locks l JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
  WHERE l.locktype = 'advisory' AND l.classid = 0 AND l.objid::bigint = leader_key AND l.objsubid = 1 AND l.granted
    AND EXISTS (SELECT FROM job_leader WHERE beat_at < now() - make_interval(secs => limit_seconds));
END
$$;
COMMENT ON FUNCTION put_off_leader(bigint, float8) IS 'Ends the connection of a leader that has not shown itself for so long.';
REVOKE ALL ON FUNCTION ensure_day_partition(text, date), drop_day_partition(text, date), refresh_statistics(), put_off_leader(bigint, float8) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ensure_day_partition(text, date), drop_day_partition(text, date), refresh_statistics(), put_off_leader(bigint, float8) TO switchboard_worker, switchboard_operator;

-- Parts of names and numbers are found by an index whose operator Postgres does not let see other tenants' rows, which under
-- row-level security means: not at all. So this function, which may see all, looks up ids within the transaction's own tenant.
CREATE FUNCTION search_customers(term text, most integer) RETURNS SETOF uuid LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = public, pg_temp SET enable_bitmapscan = on SET plan_cache_mode = force_custom_plan AS $$
DECLARE
  tenant integer := current_tenant();
  pattern text := '%' || replace(replace(replace(lower(term), '\', '\\'), '%', '\%'), '_', '\_') || '%';
BEGIN
  IF length(term) >= 3 THEN
    RETURN QUERY SELECT c.id FROM customers c
      WHERE c.tenant_id = tenant AND c.merged_into IS NULL
        AND lower(coalesce(c.name, '') || ' ' || coalesce(c.phone_number, '') || ' ' || coalesce(c.email, '')) LIKE pattern
      ORDER BY c.id DESC LIMIT most;
  ELSE
    -- The index knows three letters and more. Fewer would find nearly everybody, so the newest are enough.
    RETURN QUERY SELECT c.id FROM (SELECT * FROM customers n WHERE n.tenant_id = tenant ORDER BY n.id DESC LIMIT 10000) c
      WHERE c.merged_into IS NULL AND lower(coalesce(c.name, '') || ' ' || coalesce(c.phone_number, '') || ' ' || coalesce(c.email, '')) LIKE pattern
      ORDER BY c.id DESC LIMIT most;
  END IF;
END
$$;
COMMENT ON FUNCTION search_customers(text, integer) IS 'Customers of the transaction''s tenant whose name, number or e-mail contains the term, newest first.';
REVOKE ALL ON FUNCTION search_customers(text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION search_customers(text, integer) TO switchboard_api, switchboard_operator;
