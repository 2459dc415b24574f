-- What a conversation's newest message says is read from chat_messages_conversation when it is shown: a copy cost every
-- message an ordered aggregate, and went stale when the message was edited or revoked.
ALTER TABLE chat_conversations DROP COLUMN last_message_preview;
