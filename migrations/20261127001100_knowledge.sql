-- Knowledge: documents that agents read passages of.
CREATE EXTENSION IF NOT EXISTS btree_gin;

CREATE TABLE knowledge_documents (
  tenant_id    integer NOT NULL REFERENCES tenants (id),
  id           uuid NOT NULL,
  name         text NOT NULL,
  format       text NOT NULL CHECK (format IN ('pdf', 'docx', 'html', 'text')),
  size_bytes   bigint NOT NULL,
  storage_key  text NOT NULL,
  metadata     jsonb NOT NULL,
  status       text NOT NULL DEFAULT 'uploaded' CHECK (status IN ('uploaded', 'queued', 'ingesting', 'ready', 'failed')),
  version      integer NOT NULL DEFAULT 0,
  progress     smallint NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 100),
  page_count   integer NOT NULL DEFAULT 0,
  chunk_count  integer NOT NULL DEFAULT 0,
  error        text,
  created_at   timestamptz NOT NULL DEFAULT now(),
  updated_at   timestamptz NOT NULL DEFAULT now(),
  ingested_at  timestamptz,
  PRIMARY KEY (tenant_id, id)
);
CREATE INDEX knowledge_documents_newest ON knowledge_documents (tenant_id, created_at DESC, id DESC);
COMMENT ON TABLE knowledge_documents IS 'A file that a tenant''s agents shall know. version counts how often it was to be ingested; progress is in percent; the chunks of the last ingestion that went well stay until the next one does.';
CALL protect_tenant_table('knowledge_documents');

CREATE TABLE knowledge_chunks (
  tenant_id    integer NOT NULL,
  document_id  uuid NOT NULL,
  ordinal      integer NOT NULL,
  page         integer NOT NULL,
  content      text NOT NULL,
  words        tsvector NOT NULL GENERATED ALWAYS AS (to_tsvector('simple', content)) STORED,
  PRIMARY KEY (tenant_id, document_id, ordinal),
  FOREIGN KEY (tenant_id, document_id) REFERENCES knowledge_documents (tenant_id, id) ON DELETE CASCADE
);
-- Without a pending list: searching always costs the same.
CREATE INDEX knowledge_chunks_words ON knowledge_chunks USING gin (tenant_id, words) WITH (fastupdate = off);
COMMENT ON TABLE knowledge_chunks IS 'A passage of a document, in its order.';
CALL protect_tenant_table('knowledge_chunks');

CREATE TABLE knowledge_vectors (
  tenant_id    integer NOT NULL,
  document_id  uuid NOT NULL,
  version      integer NOT NULL,
  embedder     text NOT NULL,
  vectors      bytea NOT NULL,
  PRIMARY KEY (tenant_id, document_id),
  FOREIGN KEY (tenant_id, document_id) REFERENCES knowledge_documents (tenant_id, id) ON DELETE CASCADE
);
COMMENT ON TABLE knowledge_vectors IS 'The vectors of a document''s chunks, in their order: of each a scale (float4, little endian) and 256 signed bytes. Processes hold them in memory and compare exactly.';
CALL protect_tenant_table('knowledge_vectors');

CREATE TABLE knowledge_words (
  tenant_id  integer NOT NULL REFERENCES tenants (id),
  word       text NOT NULL,
  chunks     integer NOT NULL,
  PRIMARY KEY (tenant_id, word)
);
COMMENT ON TABLE knowledge_words IS 'In how many chunks of a tenant a word is: full text is asked for rare words only, which tell passages apart and are quick to find.';
CALL protect_tenant_table('knowledge_words');

CREATE TABLE knowledge_changes (
  tenant_id  integer PRIMARY KEY REFERENCES tenants (id),
  changes    bigint NOT NULL
);
COMMENT ON TABLE knowledge_changes IS 'Counts changes of a tenant''s chunks, so that processes know when what they hold in memory is old. No row: the tenant has none.';
CALL protect_tenant_table('knowledge_changes');
