-- Templates as Meta knows them.
ALTER TABLE message_templates ADD account_id text, ADD status_at timestamptz, ADD category_at timestamptz;
COMMENT ON COLUMN message_templates.account_id IS 'The WhatsApp Business account that has it, once one has.';
COMMENT ON COLUMN message_templates.status_at IS 'Of when the status is: news that are older change nothing. category_at: the same of the category.';
-- Webhooks about templates name the account.
CREATE INDEX channel_instances_account ON channel_instances ((config ->> 'businessAccountId'))
  WHERE type = 'WHATSAPP' AND config ->> 'businessAccountId' IS NOT NULL;
