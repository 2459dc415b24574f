-- Processes keep what lists show of a conversation and ask only whether it still is the same row version (xmin). So whatever else
-- a list shows of it, its person and its newest message, writes a new version of the conversation when it changes. (A new
-- message moves its conversation anyway.)
CREATE FUNCTION renew_conversation_of_message() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE chat_conversations SET updated_at = updated_at WHERE tenant_id = NEW.tenant_id AND id = NEW.conversation_id;
  RETURN NULL;
END
$$;

CREATE FUNCTION renew_conversations_of_customer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE chat_conversations SET updated_at = updated_at WHERE tenant_id = NEW.tenant_id AND customer_id = NEW.id;
  RETURN NULL;
END
$$;

CREATE TRIGGER renew_conversation AFTER UPDATE OF conversation_id, content, message_type, direction, sent_at ON chat_messages FOR EACH ROW
  WHEN (OLD.conversation_id IS NOT NULL AND (OLD.conversation_id, OLD.content, OLD.message_type, OLD.direction, OLD.sent_at)
        IS DISTINCT FROM (NEW.conversation_id, NEW.content, NEW.message_type, NEW.direction, NEW.sent_at))
  EXECUTE FUNCTION renew_conversation_of_message();
CREATE TRIGGER renew_conversations AFTER UPDATE OF name, phone_number, email ON customers FOR EACH ROW
  WHEN ((OLD.name, OLD.phone_number, OLD.email) IS DISTINCT FROM (NEW.name, NEW.phone_number, NEW.email))
  EXECUTE FUNCTION renew_conversations_of_customer();
