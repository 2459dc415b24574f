-- What housekeeping looks for, and where channels keep what is never shown.
CREATE INDEX refresh_tokens_used ON refresh_tokens (used_at) WHERE used_at IS NOT NULL;

ALTER TABLE channel_instances
  ADD COLUMN secrets jsonb NOT NULL DEFAULT '{}',
  ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now();
COMMENT ON COLUMN channel_instances.secrets IS 'Sealed values by name (see platform::sealing); config has what may be shown.';
