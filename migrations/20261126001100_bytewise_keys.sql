-- Keys are compared byte by byte, whatever the locale of the database: no order of a language is asked of them, and strcoll() costs
-- every step of a search.
DROP TRIGGER count_updated ON chat_conversations;
ALTER TABLE chat_conversations ALTER COLUMN status TYPE text COLLATE "C", ALTER COLUMN channel_source TYPE varchar(32) COLLATE "C";
CREATE TRIGGER count_updated AFTER UPDATE ON chat_conversations FOR EACH ROW
  WHEN (OLD.status IS DISTINCT FROM NEW.status OR OLD.merged_into IS DISTINCT FROM NEW.merged_into OR NEW.unread_count < OLD.unread_count)
  EXECUTE FUNCTION count_changed_conversation();
ALTER TABLE chat_messages ALTER COLUMN external_id TYPE text COLLATE "C";
ALTER TABLE customer_identities ALTER COLUMN external_id TYPE text COLLATE "C";
ALTER TABLE jobs ALTER COLUMN queue TYPE text COLLATE "C", ALTER COLUMN kind TYPE text COLLATE "C", ALTER COLUMN ordering_key TYPE text COLLATE "C",
  ALTER COLUMN idempotency_key TYPE text COLLATE "C";
ALTER TABLE counts ALTER COLUMN measure TYPE text COLLATE "C";
ALTER TABLE count_changes ALTER COLUMN measure TYPE text COLLATE "C";

-- The list of all of a tenant's conversations, whatever their source and status.
CREATE INDEX chat_conversations_newest ON chat_conversations (tenant_id, active_slot DESC) WHERE merged_into IS NULL;
