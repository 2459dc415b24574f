-- Which model a tenant's agents ask, what it may cost, and what it did.
CREATE TABLE model_settings (
  tenant_id            integer PRIMARY KEY REFERENCES tenants (id),
  provider             text CHECK (provider IN ('openai', 'http')),
  base_url             text,
  api_key              text,
  model                text,
  monthly_tokens       bigint CHECK (monthly_tokens >= 0),
  monthly_cost_micros  bigint CHECK (monthly_cost_micros >= 0),
  updated_at           timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE model_settings IS 'Null, and no row: as the server is set up. provider http: an agent service. api_key: sealed. The budgets are the operator''s to set; cost in millionths of a dollar.';
CALL protect_tenant_table('model_settings', 'SELECT');

CREATE TABLE model_usage (
  tenant_id          integer NOT NULL REFERENCES tenants (id),
  day                date NOT NULL,
  model              text NOT NULL,
  answers            bigint NOT NULL,
  prompt_tokens      bigint NOT NULL,
  completion_tokens  bigint NOT NULL,
  cost_micros        bigint NOT NULL,
  PRIMARY KEY (tenant_id, day, model)
);
COMMENT ON TABLE model_usage IS 'What agents took of each model on each day (UTC), counted with the run that took it.';
CALL protect_tenant_table('model_usage', 'SELECT');

ALTER TABLE agent_runs ADD COLUMN job_id uuid, ADD COLUMN steps jsonb NOT NULL DEFAULT '[]', ADD COLUMN cost_micros bigint NOT NULL DEFAULT 0;
ALTER TABLE agent_runs DROP CONSTRAINT agent_runs_outcome_check;
ALTER TABLE agent_runs ADD CONSTRAINT agent_runs_outcome_check CHECK (outcome IN ('replied', 'overtaken', 'failed', 'escalated', 'handed_over', 'abandoned'));
COMMENT ON COLUMN agent_runs.steps IS 'The tools that it used: [{tool, arguments, result}], each cut short.';
COMMENT ON COLUMN agent_runs.outcome IS 'handed_over: to an agent service, which answers later; abandoned: whoever waited for the answer went away.';

CREATE FUNCTION used_this_month(tenant integer) RETURNS TABLE (tokens bigint, cost_micros bigint) LANGUAGE sql STABLE AS $$
  SELECT coalesce(sum(prompt_tokens + completion_tokens), 0)::bigint, coalesce(sum(cost_micros), 0)::bigint FROM model_usage
  WHERE tenant_id = tenant AND day >= date_trunc('month', ledger_now() AT TIME ZONE 'UTC')::date
$$;
COMMENT ON FUNCTION used_this_month(integer) IS 'What a tenant''s agents took since the month began (UTC).';
