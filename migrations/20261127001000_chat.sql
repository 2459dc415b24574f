-- Chat on a website: a session is a conversation whose id the client may choose, so no two tenants may choose the same.
CREATE UNIQUE INDEX chat_conversations_session ON chat_conversations (id) WHERE channel_source = 'widget';

CREATE TABLE widgets (
  tenant_id        integer PRIMARY KEY REFERENCES tenants (id),
  enabled          boolean NOT NULL,
  title            text NOT NULL,
  primary_color    text NOT NULL CHECK (primary_color ~ '^#[0-9a-fA-F]{6}$'),
  welcome_message  text NOT NULL,
  placeholder      text NOT NULL,
  position         text NOT NULL CHECK (position IN ('bottom-right', 'bottom-left')),
  allowed_origins  text[] NOT NULL,
  updated_at       timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE widgets IS 'How a tenant''s chat widget looks and where it may be embedded (allowed_origins empty: anywhere). No row: it was never set up, and is off.';
CALL protect_tenant_table('widgets');
