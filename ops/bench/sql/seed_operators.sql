-- A day of an installation in trouble: jobs that wait in a queue that is paused, dead letters of ten kinds, finished jobs, samples.
CREATE FUNCTION pg_temp.id_at(at timestamptz) RETURNS uuid LANGUAGE sql AS $$
  SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || substr(md5(random()::text), 1, 3) || '8' || substr(md5(random()::text), 1, 15))::uuid
$$;
INSERT INTO job_pauses (what, paused_by) VALUES ('queue:agents', 'bench');
INSERT INTO jobs (id, kind, queue, tenant_id, max_attempts, args, created_at)
SELECT pg_temp.id_at(at), 'run_auto_reply', 'agents', 1 + n % 200, 5,
       jsonb_build_object('tenant_id', 1 + n % 200, 'conversation_id', gen_random_uuid(), 'message_id', gen_random_uuid()), at
FROM (SELECT n, now() - make_interval(secs => n % 40000) AS at FROM generate_series(1, {queued}) n) j;
INSERT INTO jobs_dead (id, kind, queue, tenant_id, priority, weight, attempt, crashes, max_attempts, fingerprint, args, errors, created_at, died_at)
SELECT pg_temp.id_at(at), 'send_outbound', 'outbound', 1 + n % 200, 0, 1, 5, 0, 5, 'send_outbound:class_' || n % 10,
       jsonb_build_object('message_id', gen_random_uuid()),
       (SELECT jsonb_agg(jsonb_build_object('class', 'class_' || n % 10, 'message', 'what went wrong with attempt ' || a || ' of job ' || n, 'attempt', a, 'at', at)) FROM generate_series(1, 5) a),
       at, at + interval '10 minutes'
FROM (SELECT n, now() - make_interval(secs => 1000 + n % 80000) AS at FROM generate_series(1, {dead}) n) j;
INSERT INTO jobs_done (finished_on, id, kind, queue, tenant_id, state, attempt, crashes, args, errors, created_at, started_at, finished_at)
SELECT (at AT TIME ZONE 'utc')::date, pg_temp.id_at(at), CASE n % 3 WHEN 0 THEN 'process_webhook' WHEN 1 THEN 'send_outbound' ELSE 'copy_media' END,
       CASE n % 3 WHEN 0 THEN 'webhooks' WHEN 1 THEN 'outbound' ELSE 'chores' END, 1 + n % 200, 'done', 1, 0,
       jsonb_build_object('message_id', gen_random_uuid()), NULL, at, at, at
FROM (SELECT n, now() - make_interval(secs => (n % 80000)) AS at FROM generate_series(1, {done}) n) j;
INSERT INTO queue_samples (at, queue, minutes, ready, delayed, running, dead, oldest_seconds, entered, done, failed, wait_p50, wait_p95, wait_p99, run_p50, run_p95, run_p99, workers, paused)
SELECT date_bin('10 minutes', now(), 'epoch') - make_interval(mins => 10 * n) - interval '1 day', q, 10, n, n, 5, 7, 1, 6000, 6000, 3, 0.01, 0.02, 0.1, 0.01, 0.02, 0.1, 2, false
FROM generate_series(0, 4200) n, unnest(ARRAY['ingest', 'webhooks', 'outbound', 'overrides', 'agents', 'documents', 'chores', 'probes']) q;
INSERT INTO queue_samples (at, queue, minutes, ready, delayed, running, dead, oldest_seconds, entered, done, failed, wait_p50, wait_p95, wait_p99, run_p50, run_p95, run_p99, workers, paused)
SELECT date_trunc('minute', now()) - make_interval(mins => n), q, 1, n, n, 5, 7, 1, 600, 600, 3, 0.01, 0.02, 0.1, 0.01, 0.02, 0.1, 2, false
FROM generate_series(1, 1400) n, unnest(ARRAY['ingest', 'webhooks', 'outbound', 'overrides', 'agents', 'documents', 'chores', 'probes']) q;
