-- Requests that may be repeated safely, and what people did.
CREATE TABLE idempotency_keys (
  tenant_id   integer NOT NULL REFERENCES tenants (id),
  key         text NOT NULL,
  request     text NOT NULL,
  body_hash   bytea NOT NULL,
  status      smallint,
  response    bytea,
  created_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, key)
);
CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);
COMMENT ON TABLE idempotency_keys IS 'Answers to requests with an Idempotency-Key, written in the transaction of what the request did, so both are there or neither. request: method, path and user. Kept for a day.';

CREATE TABLE audit_log (
  tenant_id   integer NOT NULL REFERENCES tenants (id),
  id          uuid NOT NULL,
  at          timestamptz NOT NULL DEFAULT now(),
  actor       text NOT NULL,
  act         text NOT NULL,
  subject     text,
  detail      jsonb,
  PRIMARY KEY (tenant_id, id)
);
COMMENT ON TABLE audit_log IS 'Sign-ins and changes by people of a tenant: who (user:ID, operator, service, or an e-mail that failed to sign in), what (noun.verb), on which row. Never secrets.';
