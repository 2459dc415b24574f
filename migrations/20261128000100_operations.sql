-- What operators look at and decide: who is signed in, what is paused, how every process and queue does, and how it did.
CREATE TABLE platform_operators (
  tenant_id  integer NOT NULL,
  user_id    uuid PRIMARY KEY,
  may_act    boolean NOT NULL,
  since      timestamptz NOT NULL DEFAULT now(),
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
COMMENT ON TABLE platform_operators IS 'Users who may see the operators'' pages and API, of all tenants. may_act false: look only. Set by `switchboard create-admin --platform`; goes with the user.';

-- Requests of a tenant cannot read the table, and yet leave its operators' accounts to themselves.
CREATE FUNCTION is_platform_operator(of_tenant integer, person uuid) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT EXISTS (SELECT FROM platform_operators WHERE tenant_id = of_tenant AND user_id = person)
$$;
COMMENT ON FUNCTION is_platform_operator(integer, uuid) IS 'Whether this user of a tenant is an operator of the platform.';
REVOKE ALL ON FUNCTION is_platform_operator(integer, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION is_platform_operator(integer, uuid) TO switchboard_api, switchboard_operator;

CREATE TABLE operator_sessions (
  token_hash           bytea PRIMARY KEY,
  actor                text NOT NULL,
  may_act              boolean NOT NULL,
  user_id              uuid,
  password_changed_at  timestamptz,
  opened_at            timestamptz NOT NULL DEFAULT now(),
  seen_at              timestamptz NOT NULL DEFAULT now(),
  ends_at              timestamptz NOT NULL
);
COMMENT ON TABLE operator_sessions IS 'Operators who are signed in to the pages. token_hash: SHA-256 of the cookie. A session ends at ends_at, half an hour after seen_at, or when users.password_changed_at is another than when the password was given.';

ALTER TABLE operator_acts ADD COLUMN reason text;
COMMENT ON COLUMN operator_acts.reason IS 'Why, in the operator''s words.';

CREATE TABLE job_pauses (
  what       text PRIMARY KEY CHECK (what ~ '^(queue|kind|tenant|channel|worker):.'),
  paused_at  timestamptz NOT NULL DEFAULT now(),
  paused_by  text NOT NULL,
  reason     text
);
COMMENT ON TABLE job_pauses IS 'What an operator holds: `queue:NAME`, `kind:KIND` and `tenant:ID` start no job, `channel:UUID` sends nothing, `worker:NAME` takes nothing new.';
ALTER TABLE tenants ADD COLUMN paused_at timestamptz;
COMMENT ON COLUMN tenants.paused_at IS 'An operator has paused the tenant (job_pauses): what comes for it is held.';
INSERT INTO job_pauses (what, paused_at, paused_by) SELECT 'queue:' || queue, paused_at, 'before' FROM job_queues WHERE paused_at IS NOT NULL;
COMMENT ON TABLE job_queues IS 'Read by workers of the version before, which may still run: what is paused now is in job_pauses.';
ALTER TABLE jobs ADD COLUMN canary boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN jobs.canary IS 'Runs even while its kind is paused: an operator wants to see one run.';
-- A group of dead letters is released and given up in the order of ids.
CREATE INDEX jobs_dead_group ON jobs_dead (fingerprint, id);

CREATE TABLE processes (
  id          uuid PRIMARY KEY,
  role        text NOT NULL CHECK (role IN ('api', 'worker')),
  name        text NOT NULL,
  version     text NOT NULL,
  worker_id   uuid,
  started_at  timestamptz NOT NULL DEFAULT now(),
  beat_at     timestamptz NOT NULL DEFAULT now(),
  figures     jsonb NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX processes_beat ON processes (beat_at);
COMMENT ON TABLE processes IS 'API and worker processes, and what each did in the last minute (platform::figures). A process that ends well takes its row away; others are forgotten after a day.';

CREATE TABLE queue_samples (
  at              timestamptz NOT NULL,
  queue           text NOT NULL,
  minutes         smallint NOT NULL,
  ready           bigint NOT NULL,
  delayed         bigint NOT NULL,
  running         bigint NOT NULL,
  dead            bigint NOT NULL,
  oldest_seconds  double precision NOT NULL,
  entered         bigint NOT NULL,
  done            bigint NOT NULL,
  failed          bigint NOT NULL,
  wait_p50        real, wait_p95 real, wait_p99 real,
  run_p50         real, run_p95 real, run_p99 real,
  workers         integer NOT NULL,
  paused          boolean NOT NULL,
  stuck           jsonb NOT NULL DEFAULT '[]',
  PRIMARY KEY (at, queue)
);
COMMENT ON TABLE queue_samples IS 'How each queue stood every minute (of the last day) or every ten minutes (of thirty days: the most that waited, the sums of what was done). Queue `ingest`: the webhooks taken; wait is the time to the 200. Times in seconds. stuck: what ran longest.';

CREATE TABLE error_samples (
  at           timestamptz NOT NULL,
  fingerprint  text NOT NULL,
  minutes      smallint NOT NULL,
  n            bigint NOT NULL,
  PRIMARY KEY (at, fingerprint)
);
COMMENT ON TABLE error_samples IS 'How often each kind of failure (queue and error class) came up in each minute, or ten.';

GRANT SELECT, INSERT, UPDATE, DELETE ON platform_operators, operator_sessions TO switchboard_operator;
GRANT SELECT, INSERT, UPDATE, DELETE ON job_pauses, processes, queue_samples, error_samples TO switchboard_worker, switchboard_operator;

-- The planner's guess of how many jobs wait in a queue: for queues so long that counting would cost.
CREATE FUNCTION estimated_jobs(of_queue text, later boolean) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$ -- EXPLAIN wants it so
DECLARE
  plan jsonb;
BEGIN
  EXECUTE format('EXPLAIN (FORMAT JSON) SELECT FROM jobs WHERE queue = %L AND state = ''queued'' AND run_at IS %s NULL',
                 of_queue, CASE WHEN later THEN 'NOT' ELSE '' END) INTO plan;
  RETURN (plan -> 0 -> 'Plan' ->> 'Plan Rows')::bigint;
END
$$;
COMMENT ON FUNCTION estimated_jobs(text, boolean) IS 'About how many jobs of a queue wait, or wait for a time.';

-- Channels that need somebody are looked for among all tenants.
CREATE INDEX channel_instances_broken ON channel_instances (id) WHERE status = 'ERROR';

CREATE TABLE paced_acts (
  id          uuid PRIMARY KEY,
  act         text NOT NULL CHECK (act IN ('retry', 'discard', 'replay')),
  filter      jsonb NOT NULL,
  per_second  integer NOT NULL CHECK (per_second > 0),
  total       bigint NOT NULL,
  done        bigint NOT NULL DEFAULT 0,
  skipped     bigint NOT NULL DEFAULT 0,
  after       uuid,
  state       text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'stopped')),
  note        text,
  actor       text NOT NULL,
  reason      text,
  started_at  timestamptz NOT NULL DEFAULT now(),
  moved_at    timestamptz NOT NULL DEFAULT now(),
  ended_at    timestamptz
);
CREATE INDEX paced_acts_running ON paced_acts (started_at) WHERE state = 'running';
CREATE INDEX paced_acts_started ON paced_acts (started_at);
COMMENT ON TABLE paced_acts IS 'What operators do to many jobs or webhooks at once, some each second: the leader goes on with it, whoever restarts. after: how far it is.';
GRANT SELECT, INSERT, UPDATE, DELETE ON paced_acts TO switchboard_worker, switchboard_operator;
