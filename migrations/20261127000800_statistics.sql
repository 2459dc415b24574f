-- Connections keep their plans until a table's statistics change. A plan that was made while a table was empty may walk over all of
-- an index, and costs more with every row that comes: so no statistics of a table that is as good as empty (Postgres then assumes
-- ten pages), and a table that was full once is not taken for a small one.
ALTER TABLE jobs SET (vacuum_truncate = off);

CREATE OR REPLACE FUNCTION refresh_statistics() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  relation text;
BEGIN
  FOREACH relation IN ARRAY ARRAY['jobs', 'customers', 'customer_identities', 'chat_conversations', 'chat_messages'] LOOP
    IF pg_relation_size(relation::regclass) >= 10 * 8192 THEN
      EXECUTE format('ANALYZE %I', relation);
    END IF;
  END LOOP;
END
$$;
COMMENT ON FUNCTION refresh_statistics() IS 'ANALYZE of the tables that change fastest, but for those that are as good as empty.';
