-- How answers must look, and agents that ask each other.
CREATE TABLE output_formats (
  tenant_id    integer NOT NULL REFERENCES tenants (id),
  id           uuid NOT NULL,
  name         text NOT NULL CHECK (name <> ''),
  instructions text NOT NULL,
  max_chars    integer CHECK (max_chars > 0),
  json_schema  jsonb,
  text_field   text,
  created_at   timestamptz NOT NULL DEFAULT now(),
  updated_at   timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, name),
  CHECK ((json_schema IS NULL) = (text_field IS NULL))
);
COMMENT ON TABLE output_formats IS 'How an agent''s answers must look. With json_schema the answer is JSON that fits it, of which the customer is sent the member text_field.';
CALL protect_tenant_table('output_formats');

ALTER TABLE agents ADD COLUMN output_format_id uuid;
ALTER TABLE agents ADD CONSTRAINT agents_output_format FOREIGN KEY (tenant_id, output_format_id) REFERENCES output_formats (tenant_id, id);

CREATE TABLE agent_teams (
  tenant_id    integer NOT NULL REFERENCES tenants (id),
  id           uuid NOT NULL,
  name         text NOT NULL CHECK (name <> ''),
  description  text,
  lead_id      uuid NOT NULL,
  active       boolean NOT NULL DEFAULT true,
  created_at   timestamptz NOT NULL DEFAULT now(),
  updated_at   timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, name),
  CONSTRAINT agent_teams_lead FOREIGN KEY (tenant_id, lead_id) REFERENCES agents (tenant_id, id)
);
CREATE INDEX agent_teams_of_lead ON agent_teams (tenant_id, lead_id);
COMMENT ON TABLE agent_teams IS 'Agents that answer together: the lead answers, and asks the members.';
CALL protect_tenant_table('agent_teams');

CREATE TABLE agent_team_members (
  tenant_id  integer NOT NULL,
  team_id    uuid NOT NULL,
  agent_id   uuid NOT NULL,
  expertise  text NOT NULL,
  PRIMARY KEY (tenant_id, team_id, agent_id),
  FOREIGN KEY (tenant_id, team_id) REFERENCES agent_teams (tenant_id, id) ON DELETE CASCADE,
  CONSTRAINT agent_team_members_agent FOREIGN KEY (tenant_id, agent_id) REFERENCES agents (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX agent_team_members_of_agent ON agent_team_members (tenant_id, agent_id);
COMMENT ON TABLE agent_team_members IS 'Who a team''s lead may ask, and about what.';
CALL protect_tenant_table('agent_team_members');

CREATE FUNCTION teams_of(a agents) RETURNS uuid[] LANGUAGE sql STABLE AS $$
  SELECT ARRAY(SELECT t.id FROM agent_teams t WHERE t.tenant_id = a.tenant_id AND t.lead_id = a.id
               UNION SELECT m.team_id FROM agent_team_members m WHERE m.tenant_id = a.tenant_id AND m.agent_id = a.id ORDER BY 1)
$$;
COMMENT ON FUNCTION teams_of(agents) IS 'The teams that an agent leads or is a member of.';

CREATE TABLE agent_collaborations (
  tenant_id          integer NOT NULL REFERENCES tenants (id),
  id                 uuid NOT NULL,
  job_id             uuid NOT NULL,
  conversation_id    uuid NOT NULL,
  team_id            uuid NOT NULL,
  asked_by           uuid NOT NULL,
  agent_id           uuid NOT NULL,
  question           text NOT NULL,
  answer             text NOT NULL,
  model              text NOT NULL,
  prompt_tokens      integer NOT NULL,
  completion_tokens  integer NOT NULL,
  created_at         timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id)
);
CREATE INDEX agent_collaborations_conversation ON agent_collaborations (tenant_id, conversation_id, id);
COMMENT ON TABLE agent_collaborations IS 'What one agent of a team asked another, and what it said; written once for each time, however often the run is done again.';
CALL protect_tenant_table('agent_collaborations', 'SELECT');
