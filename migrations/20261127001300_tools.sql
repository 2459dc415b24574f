-- Tools: what agents may do besides talking.
CREATE TABLE tools (
  tenant_id     integer NOT NULL REFERENCES tenants (id),
  id            uuid NOT NULL,
  base_tool_id  uuid NOT NULL,
  name          text NOT NULL CHECK (name <> ''),
  description   text NOT NULL,
  config        jsonb NOT NULL,
  secrets       jsonb NOT NULL,
  input_schema  jsonb NOT NULL,
  active        boolean NOT NULL DEFAULT true,
  created_at    timestamptz NOT NULL DEFAULT now(),
  updated_at    timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, name)
);
COMMENT ON TABLE tools IS 'A tenant''s own configuration of a built-in tool. secrets: sealed values by name, which headers in config may name as {{name}}.';
CALL protect_tenant_table('tools');

ALTER TABLE agents ADD COLUMN tool_ids uuid[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN agents.tool_ids IS 'Its tools: of the table tools, or built-in ones. Those that are gone are passed over.';

CREATE TABLE tool_results (
  tenant_id   integer NOT NULL REFERENCES tenants (id),
  job_id      uuid NOT NULL,
  call        text NOT NULL,
  result      text NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, job_id, call)
);
COMMENT ON TABLE tool_results IS 'What tools answered during a run that has not ended: a run that is done again after a crash asks none twice. call: a digest of name and arguments, and which such call of the run it is.';
CALL protect_tenant_table('tool_results', 'SELECT');

CREATE FUNCTION may_answer(a agents) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT a.active AND NOT EXISTS (SELECT FROM tenant_permissions p WHERE p.tenant_id = a.tenant_id AND NOT a.id = ANY (p.agent_ids))
$$;
COMMENT ON FUNCTION may_answer(agents) IS 'An agent that is active, and that its tenant may use.';
