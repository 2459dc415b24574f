-- The job ledger (jobs/README.md has the state machine). `jobs` holds live work only, so it stays small.

-- The ledger's clock. Processes' clocks may differ, so only this one counts; tests move it with
-- `ALTER DATABASE ... SET switchboard.clock_offset = '1 hour'`.
CREATE FUNCTION ledger_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT now() + coalesce(nullif(current_setting('switchboard.clock_offset', true), ''), '0')::interval
$$;
COMMENT ON FUNCTION ledger_now() IS 'The time that jobs go by: now() of Postgres, plus an offset that only tests set.';

CREATE SEQUENCE job_positions;
COMMENT ON SEQUENCE job_positions IS 'The order in which jobs became ready, over all queues.';
CREATE SEQUENCE job_ordering;
COMMENT ON SEQUENCE job_ordering IS 'The order of jobs that share an ordering key; taken while the row they order on is locked.';

CREATE TABLE jobs (
  id               uuid PRIMARY KEY,
  kind             text NOT NULL,
  queue            text NOT NULL,
  tenant_id        integer NOT NULL,
  priority         smallint NOT NULL DEFAULT 0 CHECK (priority BETWEEN -10 AND 10),
  position         bigint NOT NULL DEFAULT nextval('job_positions'),
  state            text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running')),
  run_at           timestamptz,
  scheduled        boolean NOT NULL DEFAULT false,
  ordering_key     text,
  ordering_seq     bigint,
  weight           integer NOT NULL DEFAULT 1 CHECK (weight > 0),
  attempt          smallint NOT NULL DEFAULT 0,
  crashes          smallint NOT NULL DEFAULT 0,
  max_attempts     smallint NOT NULL CHECK (max_attempts > 0),
  locked_by        uuid,
  cancel_requested boolean NOT NULL DEFAULT false,
  idempotency_key  text,
  trace            text,
  args             jsonb NOT NULL,
  errors           jsonb NOT NULL DEFAULT '[]',
  created_at       timestamptz NOT NULL DEFAULT now(),
  started_at       timestamptz,
  CHECK ((state = 'running') = (locked_by IS NOT NULL)),
  CHECK ((ordering_key IS NULL) = (ordering_seq IS NULL))
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX jobs_ready ON jobs (queue, priority, tenant_id, position) WHERE state = 'queued' AND run_at IS NULL;
CREATE INDEX jobs_later ON jobs (queue, run_at) WHERE state = 'queued' AND run_at IS NOT NULL;
CREATE INDEX jobs_running ON jobs (locked_by) WHERE state = 'running';
CREATE INDEX jobs_suspect ON jobs (queue, position) WHERE crashes > 0;
CREATE UNIQUE INDEX jobs_ordering ON jobs (kind, ordering_key, ordering_seq) WHERE ordering_key IS NOT NULL;
-- Whatever races with whatever: of the jobs that share an ordering key, one runs.
CREATE UNIQUE INDEX jobs_one_running ON jobs (kind, ordering_key) WHERE state = 'running' AND ordering_key IS NOT NULL;
CREATE UNIQUE INDEX jobs_idempotency ON jobs (kind, idempotency_key) WHERE idempotency_key IS NOT NULL;
COMMENT ON TABLE jobs IS 'Live jobs: queued (run_at null: ready now) or running. priority: lower runs sooner. scheduled: was enqueued for later, so it blocks nobody that shares its ordering key until it is due. tenant_id 0: belongs to no tenant (yet).';

CREATE TABLE jobs_done (
  finished_on  date NOT NULL,
  id           uuid NOT NULL,
  kind         text NOT NULL,
  queue        text NOT NULL,
  tenant_id    integer NOT NULL,
  state        text NOT NULL CHECK (state IN ('done', 'cancelled', 'discarded')),
  attempt      smallint NOT NULL,
  crashes      smallint NOT NULL,
  trace        text,
  args         jsonb,
  errors       jsonb,
  created_at   timestamptz NOT NULL,
  started_at   timestamptz,
  finished_at  timestamptz NOT NULL
) PARTITION BY RANGE (finished_on);
CREATE INDEX jobs_done_id ON jobs_done (id);
COMMENT ON TABLE jobs_done IS 'Finished jobs, append only, a partition a day, dropped after the retention.';

CREATE TABLE jobs_dead (
  id               uuid PRIMARY KEY,
  kind             text NOT NULL,
  queue            text NOT NULL,
  tenant_id        integer NOT NULL,
  priority         smallint NOT NULL,
  ordering_key     text,
  weight           integer NOT NULL,
  attempt          smallint NOT NULL,
  crashes          smallint NOT NULL,
  max_attempts     smallint NOT NULL,
  idempotency_key  text,
  fingerprint      text NOT NULL,
  trace            text,
  args             jsonb NOT NULL,
  errors           jsonb NOT NULL,
  created_at       timestamptz NOT NULL,
  died_at          timestamptz NOT NULL,
  state            text NOT NULL GENERATED ALWAYS AS ('dead') STORED
);
CREATE INDEX jobs_dead_fingerprint ON jobs_dead (fingerprint, died_at);
CREATE INDEX jobs_dead_tenant ON jobs_dead (tenant_id, died_at);
COMMENT ON TABLE jobs_dead IS 'Dead letters: jobs that failed for good, with every error kept. fingerprint groups them: kind and error class.';

CREATE TABLE job_workers (
  id             uuid PRIMARY KEY,
  name           text NOT NULL,
  queues         text[] NOT NULL,
  concurrency    integer NOT NULL,
  started_at     timestamptz NOT NULL,
  heartbeat_at   timestamptz NOT NULL
);
COMMENT ON TABLE job_workers IS 'Worker processes. When heartbeat_at is older than the limit, the process counts as dead and its running jobs are rescued.';

CREATE TABLE job_leader (
  only_row  boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  beat_at   timestamptz NOT NULL
);
COMMENT ON TABLE job_leader IS 'When the leader last showed that it lives. Who leads is decided by an advisory lock; a leader that stalls with the lock in its hand is put off by whoever sees an old beat_at.';

CREATE TABLE job_queues (
  queue       text PRIMARY KEY,
  paused_at   timestamptz
);
COMMENT ON TABLE job_queues IS 'Settings of queues that must survive Redis: paused_at is set while nothing of the queue may start.';

CREATE TABLE operator_acts (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at          timestamptz NOT NULL DEFAULT now(),
  actor       text NOT NULL,
  act         text NOT NULL,
  subject     jsonb NOT NULL,
  affected    bigint NOT NULL
);
COMMENT ON TABLE operator_acts IS 'Audit log: what an operator did to jobs and raw events, by whom, with which filter, on how many.';

SELECT ensure_day_partition(parent, (current_date + n)) FROM unnest(ARRAY['raw_webhook_events', 'jobs_done']) parent, generate_series(-1, 3) n;
