-- People who sign in, and how: users, sessions, refresh tokens, identities at OpenID providers.
ALTER TABLE tenants
  ADD COLUMN subdomain text CHECK (subdomain <> ''),
  ADD COLUMN settings jsonb NOT NULL DEFAULT '{}',
  ADD COLUMN secrets jsonb NOT NULL DEFAULT '{}',
  ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now();
CREATE UNIQUE INDEX tenants_subdomain ON tenants (lower(subdomain));
COMMENT ON COLUMN tenants.secrets IS 'Sealed values by name (see platform::sealing); settings has what may be shown.';

CREATE TABLE users (
  tenant_id            integer NOT NULL REFERENCES tenants (id),
  id                   uuid NOT NULL,
  number               integer GENERATED ALWAYS AS IDENTITY,
  email                text CHECK (email <> ''),
  username             text CHECK (username <> '' AND username !~ '@'),
  name                 text NOT NULL,
  role                 text NOT NULL CHECK (role IN ('owner', 'admin', 'agent')),
  password_hash        text,
  active               boolean NOT NULL DEFAULT true,
  last_login_at        timestamptz,
  password_changed_at  timestamptz,
  created_at           timestamptz NOT NULL DEFAULT now(),
  updated_at           timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, number),
  CHECK (email IS NOT NULL OR username IS NOT NULL)
);
-- Unique over all tenants, since signing in names no tenant. An @ tells an e-mail from a username.
CREATE UNIQUE INDEX users_email ON users (lower(email));
CREATE UNIQUE INDEX users_username ON users (lower(username));
COMMENT ON TABLE users IS 'A person of a tenant who signs in. number is the integer id that the helpdesk contract shows. password_hash (Argon2id) is null for people who sign in only at an OpenID provider.';

CREATE TABLE user_sessions (
  tenant_id   integer NOT NULL,
  id          uuid NOT NULL,
  user_id     uuid NOT NULL,
  contract    text NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now(),
  expires_at  timestamptz NOT NULL,
  ended_at    timestamptz,
  ended_why   text CHECK (ended_why IN ('logout', 'refresh_token_reused', 'user_changed', 'password_changed')),
  PRIMARY KEY (tenant_id, id),
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX user_sessions_user ON user_sessions (tenant_id, user_id) WHERE ended_at IS NULL;
CREATE INDEX user_sessions_expired ON user_sessions (expires_at);
COMMENT ON TABLE user_sessions IS 'One sign-in: the family of its refresh tokens. Access tokens name it, and are refused once it has ended.';

CREATE TABLE refresh_tokens (
  tenant_id   integer NOT NULL,
  token_hash  bytea NOT NULL,
  session_id  uuid NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now(),
  used_at     timestamptz,
  PRIMARY KEY (token_hash),
  FOREIGN KEY (tenant_id, session_id) REFERENCES user_sessions (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX refresh_tokens_session ON refresh_tokens (tenant_id, session_id);
COMMENT ON TABLE refresh_tokens IS 'Refresh tokens, hashed. Each is used once; one that comes again ends its session.';

CREATE TABLE user_identities (
  tenant_id   integer NOT NULL,
  issuer      text NOT NULL,
  subject     text NOT NULL,
  user_id     uuid NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (issuer, subject),
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX user_identities_user ON user_identities (tenant_id, user_id);
COMMENT ON TABLE user_identities IS 'Who a user is at an OpenID provider.';
