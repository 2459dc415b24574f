-- What people keep of their customers and conversations, message templates, and imports of contacts.
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS btree_gin;

ALTER TABLE customers
  ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY,
  ADD COLUMN email text CHECK (email <> ''),
  ADD COLUMN tags text[] NOT NULL DEFAULT '{}';
CREATE UNIQUE INDEX customers_number ON customers (tenant_id, number);
-- Finds parts of names, numbers and addresses.
CREATE INDEX customers_search ON customers USING gin (tenant_id, (lower(coalesce(name, '') || ' ' || coalesce(phone_number, '') || ' ' || coalesce(email, ''))) gin_trgm_ops)
  WHERE merged_into IS NULL;
CREATE INDEX customers_tags ON customers USING gin (tenant_id, tags) WHERE tags <> '{}';
COMMENT ON COLUMN customers.number IS 'The integer id (client_id) that the helpdesk contract shows.';

ALTER TABLE chat_conversations
  ADD COLUMN tags text[] NOT NULL DEFAULT '{}',
  ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now(),
  ADD CONSTRAINT chat_conversations_assigned FOREIGN KEY (tenant_id, assigned_to) REFERENCES users (tenant_id, id) ON DELETE SET NULL (assigned_to);
CREATE INDEX chat_conversations_assigned ON chat_conversations (tenant_id, assigned_to) WHERE assigned_to IS NOT NULL;

-- Lists are by activity. Five minutes, not the second, so that a burst of messages moves a conversation in this index once; the few
-- that share a slot are sorted when they are read.
ALTER TABLE chat_conversations ADD COLUMN active_slot timestamp NOT NULL
  GENERATED ALWAYS AS (date_bin('5 minutes', coalesce(last_message_at, created_at) AT TIME ZONE 'UTC', '2000-01-01')) STORED;
CREATE INDEX chat_conversations_activity ON chat_conversations (tenant_id, channel_source, status, active_slot DESC) WHERE merged_into IS NULL;

CREATE TABLE message_templates (
  tenant_id    integer NOT NULL REFERENCES tenants (id),
  id           uuid NOT NULL,
  name         text NOT NULL,
  language     text NOT NULL,
  category     text NOT NULL CHECK (category IN ('MARKETING', 'UTILITY', 'AUTHENTICATION')),
  status       text NOT NULL DEFAULT 'PENDING' CHECK (status IN ('PENDING', 'APPROVED', 'REJECTED', 'PAUSED', 'DISABLED')),
  external_id  text,
  components   jsonb NOT NULL,
  rejected_reason text,
  created_by   uuid,
  created_at   timestamptz NOT NULL DEFAULT now(),
  updated_at   timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, name, language),
  FOREIGN KEY (tenant_id, created_by) REFERENCES users (tenant_id, id) ON DELETE SET NULL (created_by)
);
CREATE INDEX message_templates_created_by ON message_templates (tenant_id, created_by) WHERE created_by IS NOT NULL;
COMMENT ON TABLE message_templates IS 'WhatsApp message templates, by name and language. external_id and status are the provider''s.';

CREATE TABLE contact_imports (
  tenant_id    integer NOT NULL REFERENCES tenants (id),
  id           uuid NOT NULL,
  file_name    text,
  file         bytea,
  status       text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'running', 'done', 'failed')),
  error        text,
  rows_total   integer,
  rows_read    integer NOT NULL DEFAULT 0,
  created      integer NOT NULL DEFAULT 0,
  updated      integer NOT NULL DEFAULT 0,
  unchanged    integer NOT NULL DEFAULT 0,
  invalid      integer NOT NULL DEFAULT 0,
  created_by   uuid,
  created_at   timestamptz NOT NULL DEFAULT now(),
  finished_at  timestamptz,
  PRIMARY KEY (tenant_id, id),
  FOREIGN KEY (tenant_id, created_by) REFERENCES users (tenant_id, id) ON DELETE SET NULL (created_by)
);
CREATE INDEX contact_imports_created_by ON contact_imports (tenant_id, created_by) WHERE created_by IS NOT NULL;
COMMENT ON TABLE contact_imports IS 'A CSV file of contacts that is being, or was, taken over. rows_read moves in the transaction that writes those rows, so an import that is interrupted goes on there. The file is dropped when it is done.';

CREATE TABLE contact_import_rows (
  tenant_id  integer NOT NULL,
  import_id  uuid NOT NULL,
  row_number integer NOT NULL,
  outcome    text NOT NULL CHECK (outcome IN ('created', 'updated', 'unchanged', 'invalid')),
  reason     text,
  PRIMARY KEY (tenant_id, import_id, row_number),
  FOREIGN KEY (tenant_id, import_id) REFERENCES contact_imports (tenant_id, id) ON DELETE CASCADE
);
COMMENT ON TABLE contact_import_rows IS 'What became of each row of an import; row 1 is the first behind the header.';
