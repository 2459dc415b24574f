-- Figures that are exact at once and cost the same however much is stored: every statement that changes rows notes by how
-- much it changed each figure, in the same transaction; a chore folds the notes into `counts`. Readers add both.
CREATE TABLE counts (
  tenant_id  integer NOT NULL,
  measure    text NOT NULL,
  day        date NOT NULL,
  n          bigint NOT NULL,
  PRIMARY KEY (tenant_id, measure, day)
) WITH (fillfactor = 70);
COMMENT ON TABLE counts IS 'message:DIRECTION:STATUS by the UTC day of arrival; with day 1970-01-01: conversation:SOURCE:STATUS, customer, and read (inbound messages that are not unread any more). Incomplete without count_changes.';

CREATE TABLE count_changes (
  tenant_id  integer NOT NULL,
  measure    text NOT NULL,
  day        date NOT NULL,
  n          bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX count_changes_tenant ON count_changes (tenant_id, measure);
COMMENT ON TABLE count_changes IS 'Changes of counts that are not folded in yet.';

-- The first id (version 7) of a UTC day, so that a day is a range of ids.
CREATE FUNCTION first_id_of(day date) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT (lpad(to_hex((extract(epoch FROM day) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid
$$;
COMMENT ON FUNCTION first_id_of(date) IS 'The smallest version 7 uuid of the UTC day.';

CREATE FUNCTION day_of_id(id uuid) RETURNS date LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT (to_timestamp(('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / 1000.0) AT TIME ZONE 'utc')::date
$$;
COMMENT ON FUNCTION day_of_id(uuid) IS 'The UTC day in a version 7 uuid.';

-- What each row counts as. Rows that are not shown anywhere (placeholders, merged rows) count as nothing.
CREATE FUNCTION count_messages() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  today date := (now() AT TIME ZONE 'utc')::date;
  from_id uuid := first_id_of(today);
  to_id uuid := first_id_of(today + 1);
BEGIN
  -- Nearly all messages are of today, whose range of ids is known without taking each id apart.
  IF TG_OP = 'INSERT' THEN
    INSERT INTO count_changes (tenant_id, measure, day, n)
    SELECT tenant_id, 'message:' || direction || ':' || status, day, n FROM (
      SELECT tenant_id, direction, status, CASE WHEN id >= from_id AND id < to_id THEN today ELSE day_of_id(id) END AS day, count(*) AS n
      FROM new_rows WHERE conversation_id IS NOT NULL GROUP BY 1, 2, 3, 4) c;
  ELSIF EXISTS (SELECT FROM new_rows) THEN -- an upsert that only inserts comes here as well
    INSERT INTO count_changes (tenant_id, measure, day, n)
    SELECT tenant_id, 'message:' || direction || ':' || status, day, n FROM (
      SELECT tenant_id, direction, status, CASE WHEN id >= from_id AND id < to_id THEN today ELSE day_of_id(id) END AS day, sum(n) AS n
      FROM (SELECT tenant_id, direction, status, id, 1 AS n FROM new_rows WHERE conversation_id IS NOT NULL
            UNION ALL SELECT tenant_id, direction, status, id, -1 FROM old_rows WHERE conversation_id IS NOT NULL) moved
      GROUP BY 1, 2, 3, 4 HAVING sum(n) <> 0) c;
  END IF;
  RETURN NULL;
END
$$;

CREATE FUNCTION count_new_conversations() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  INSERT INTO count_changes (tenant_id, measure, day, n)
  SELECT tenant_id, 'conversation:' || channel_source || ':' || status, '1970-01-01', count(*)
  FROM new_rows WHERE merged_into IS NULL GROUP BY tenant_id, channel_source, status;
  RETURN NULL;
END
$$;

CREATE FUNCTION count_changed_conversation() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  INSERT INTO count_changes (tenant_id, measure, day, n)
  SELECT tenant_id, measure, '1970-01-01', n FROM (VALUES
    (OLD.tenant_id, 'conversation:' || OLD.channel_source || ':' || OLD.status, CASE WHEN OLD.merged_into IS NULL THEN -1 ELSE 0 END),
    (NEW.tenant_id, 'conversation:' || NEW.channel_source || ':' || NEW.status, CASE WHEN NEW.merged_into IS NULL THEN 1 ELSE 0 END),
    (NEW.tenant_id, 'read', greatest(OLD.unread_count - NEW.unread_count, 0))) c(tenant_id, measure, n)
  WHERE n <> 0;
  RETURN NULL;
END
$$;

CREATE FUNCTION count_customers() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO count_changes (tenant_id, measure, day, n)
    SELECT tenant_id, 'customer', '1970-01-01', count(*) FROM new_rows WHERE merged_into IS NULL GROUP BY tenant_id;
  ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO count_changes (tenant_id, measure, day, n)
    SELECT tenant_id, 'customer', '1970-01-01', -count(*) FROM old_rows WHERE merged_into IS NULL GROUP BY tenant_id;
  ELSE
    INSERT INTO count_changes (tenant_id, measure, day, n)
    SELECT tenant_id, 'customer', '1970-01-01', sum(n) FROM (
      SELECT tenant_id, 1 AS n FROM new_rows WHERE merged_into IS NULL
      UNION ALL SELECT tenant_id, -1 FROM old_rows WHERE merged_into IS NULL) moved
    GROUP BY tenant_id HAVING sum(n) <> 0;
  END IF;
  RETURN NULL;
END
$$;

-- Statements, not rows: a batch of five hundred messages is noted in a handful of changes.
CREATE TRIGGER count_inserted AFTER INSERT ON chat_messages REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION count_messages();
CREATE TRIGGER count_updated AFTER UPDATE ON chat_messages REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION count_messages();
CREATE TRIGGER count_inserted AFTER INSERT ON chat_conversations REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION count_new_conversations();
-- Of conversations, people change few at a time; messages change many, but neither status nor so that anything was read.
CREATE TRIGGER count_updated AFTER UPDATE ON chat_conversations FOR EACH ROW
  WHEN (OLD.status IS DISTINCT FROM NEW.status OR OLD.merged_into IS DISTINCT FROM NEW.merged_into OR NEW.unread_count < OLD.unread_count)
  EXECUTE FUNCTION count_changed_conversation();
CREATE TRIGGER count_inserted AFTER INSERT ON customers REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION count_customers();
CREATE TRIGGER count_updated AFTER UPDATE ON customers REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION count_customers();
CREATE TRIGGER count_deleted AFTER DELETE ON customers REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION count_customers();

-- What was there before this migration.
INSERT INTO counts (tenant_id, measure, day, n)
SELECT tenant_id, 'message:' || direction || ':' || status, day_of_id(id), count(*) FROM chat_messages WHERE conversation_id IS NOT NULL GROUP BY 1, 2, 3
UNION ALL SELECT tenant_id, 'conversation:' || channel_source || ':' || status, '1970-01-01', count(*) FROM chat_conversations WHERE merged_into IS NULL GROUP BY 1, 2
UNION ALL SELECT m.tenant_id, 'read', '1970-01-01', m.n - coalesce(c.n, 0)
  FROM (SELECT tenant_id, count(*) AS n FROM chat_messages WHERE conversation_id IS NOT NULL AND direction = 'inbound' GROUP BY 1) m
  LEFT JOIN (SELECT tenant_id, sum(unread_count) AS n FROM chat_conversations WHERE merged_into IS NULL GROUP BY 1) c USING (tenant_id)
UNION ALL SELECT tenant_id, 'customer', '1970-01-01', count(*) FROM customers WHERE merged_into IS NULL GROUP BY 1;
