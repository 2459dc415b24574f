-- Tickets and calendar events of the helpdesk. Their number is the integer id that its contract shows.
CREATE TABLE tickets (
  tenant_id        integer NOT NULL REFERENCES tenants (id),
  id               uuid NOT NULL,
  number           integer GENERATED ALWAYS AS IDENTITY,
  customer_id      uuid NOT NULL,
  conversation_id  uuid,
  subject          text NOT NULL CHECK (subject <> ''),
  description      text,
  priority         text NOT NULL DEFAULT 'medium' CHECK (priority IN ('high', 'medium', 'low')),
  status           text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'in_progress', 'closed')),
  assigned_to      uuid,
  created_by       uuid,
  due_at           timestamptz,
  resolved_at      timestamptz,
  created_at       timestamptz NOT NULL DEFAULT now(),
  updated_at       timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, number),
  FOREIGN KEY (tenant_id, customer_id) REFERENCES customers (tenant_id, id),
  FOREIGN KEY (tenant_id, conversation_id) REFERENCES chat_conversations (tenant_id, id),
  FOREIGN KEY (tenant_id, assigned_to) REFERENCES users (tenant_id, id) ON DELETE SET NULL (assigned_to),
  FOREIGN KEY (tenant_id, created_by) REFERENCES users (tenant_id, id) ON DELETE SET NULL (created_by)
);
CREATE INDEX tickets_status ON tickets (tenant_id, status, number);
CREATE INDEX tickets_customer ON tickets (tenant_id, customer_id, number);
CREATE INDEX tickets_assigned ON tickets (tenant_id, assigned_to, number);
CREATE INDEX tickets_created_by ON tickets (tenant_id, created_by) WHERE created_by IS NOT NULL;
CREATE INDEX tickets_conversation ON tickets (tenant_id, conversation_id) WHERE conversation_id IS NOT NULL;
COMMENT ON TABLE tickets IS 'A customer''s request that somebody works on.';

CREATE TABLE calendar_events (
  tenant_id    integer NOT NULL REFERENCES tenants (id),
  id           uuid NOT NULL,
  number       integer GENERATED ALWAYS AS IDENTITY,
  title        text NOT NULL CHECK (title <> ''),
  description  text,
  start_time   timestamptz NOT NULL,
  end_time     timestamptz NOT NULL,
  created_by   uuid,
  ticket_id    uuid,
  created_at   timestamptz NOT NULL DEFAULT now(),
  updated_at   timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, number),
  CHECK (end_time >= start_time),
  FOREIGN KEY (tenant_id, created_by) REFERENCES users (tenant_id, id) ON DELETE SET NULL (created_by),
  FOREIGN KEY (tenant_id, ticket_id) REFERENCES tickets (tenant_id, id) ON DELETE SET NULL (ticket_id)
);
CREATE INDEX calendar_events_start ON calendar_events (tenant_id, start_time, number);
CREATE INDEX calendar_events_ticket ON calendar_events (tenant_id, ticket_id) WHERE ticket_id IS NOT NULL;
CREATE INDEX calendar_events_created_by ON calendar_events (tenant_id, created_by) WHERE created_by IS NOT NULL;
COMMENT ON TABLE calendar_events IS 'An appointment in a tenant''s calendar.';
