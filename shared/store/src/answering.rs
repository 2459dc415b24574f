//! Which agent answers a tenant's customers, and all that its answer depends on.

use crate::{StoreError, model_settings::ModelSettings};
use domain::{AgentId, TenantId};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

/// An agent, as it speaks.
#[derive(Clone, Debug, PartialEq)]
pub struct Speaker {
    pub id: AgentId,
    pub name: String,
    pub system_prompt: String,
    /// `None`: the tenant's, or the one that the server is set up with.
    pub model: Option<String>,
    /// 0 to 2.
    pub temperature: Option<f32>,
    pub max_tokens: Option<i32>,
    /// Its tools: of the table `tools`, or built in.
    pub tool_ids: Vec<Uuid>,
}

/// How its answers must look.
#[derive(Clone, Debug, PartialEq)]
pub struct Format {
    pub instructions: String,
    pub max_chars: Option<i32>,
    /// The answer is JSON that fits this schema, and the customer is sent this member of it.
    pub json: Option<(Value, String)>,
}

/// The agent that answers.
#[derive(Clone, Debug)]
pub struct Answering {
    pub agent: Speaker,
    pub format: Option<Format>,
    /// The team that it leads.
    pub team: Option<Uuid>,
    /// Tools that the tenant may use; `None`: all.
    pub permitted_tools: Option<Vec<Uuid>>,
    pub model: ModelSettings,
    /// How often the tenant's documents have changed; `None`: there were none.
    pub knowledge_changes: Option<i64>,
    /// What the tenant's agents took this month; 0 if there is no budget.
    pub used_tokens: i64,
    pub used_cost_micros: i64,
}

/// An agent that another may ask.
#[derive(Clone, Debug, PartialEq)]
pub struct Colleague {
    pub speaker: Speaker,
    /// About what.
    pub expertise: String,
}

/// The agent that answers: the oldest active one that the tenant may use; one that leads an active team comes first.
pub async fn find(conn: &mut PgConnection, tenant: TenantId) -> Result<Option<Answering>, StoreError> {
    let row = sqlx::query!(
        r#"SELECT a.id, a.name, a.system_prompt, a.model, a.temperature, a.max_tokens, a.tool_ids, t.id AS "team?", p.tool_ids AS "permitted?: Vec<Uuid>",
                  f.instructions AS "instructions?", f.max_chars, f.json_schema, f.text_field,
                  s.provider, s.base_url, s.api_key, s.model AS tenants_model, s.monthly_tokens, s.monthly_cost_micros, u.tokens, u.cost_micros, k.changes AS "changes?"
           FROM agents a
           LEFT JOIN LATERAL (SELECT t.id FROM agent_teams t WHERE t.tenant_id = a.tenant_id AND t.lead_id = a.id AND t.active
                              ORDER BY t.created_at, t.id LIMIT 1) t ON true
           LEFT JOIN tenant_permissions p ON p.tenant_id = a.tenant_id
           LEFT JOIN output_formats f ON f.tenant_id = a.tenant_id AND f.id = a.output_format_id
           LEFT JOIN model_settings s ON s.tenant_id = a.tenant_id
           LEFT JOIN knowledge_changes k ON k.tenant_id = a.tenant_id
           LEFT JOIN LATERAL used_this_month(CASE WHEN s.monthly_tokens IS NOT NULL OR s.monthly_cost_micros IS NOT NULL THEN a.tenant_id END) u ON true
           WHERE a.tenant_id = $1 AND a.active AND may_answer(a)
           ORDER BY t.id IS NULL, a.created_at, a.id LIMIT 1"#,
        tenant.0
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Answering {
        agent: Speaker {
            id: AgentId(row.id),
            name: row.name,
            system_prompt: row.system_prompt,
            model: row.model,
            temperature: row.temperature,
            max_tokens: row.max_tokens,
            tool_ids: row.tool_ids,
        },
        format: row.instructions.map(|instructions| Format {
            instructions,
            max_chars: row.max_chars,
            json: row.json_schema.zip(row.text_field),
        }),
        team: row.team,
        permitted_tools: row.permitted,
        model: ModelSettings {
            provider: row.provider,
            base_url: row.base_url,
            api_key: row.api_key,
            model: row.tenants_model,
            monthly_tokens: row.monthly_tokens,
            monthly_cost_micros: row.monthly_cost_micros,
        },
        knowledge_changes: row.changes,
        used_tokens: row.tokens.unwrap_or(0),
        used_cost_micros: row.cost_micros.unwrap_or(0),
    }))
}

/// The active members of a team that the tenant may use, the oldest first.
pub async fn colleagues(conn: &mut PgConnection, tenant: TenantId, team: Uuid) -> Result<Vec<Colleague>, StoreError> {
    let rows = sqlx::query!(
        "SELECT a.id, a.name, a.system_prompt, a.model, a.temperature, a.max_tokens, a.tool_ids, m.expertise
         FROM agent_team_members m JOIN agents a ON a.tenant_id = m.tenant_id AND a.id = m.agent_id
         WHERE m.tenant_id = $1 AND m.team_id = $2 AND may_answer(a) ORDER BY a.created_at, a.id",
        tenant.0,
        team
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Colleague {
            speaker: Speaker {
                id: AgentId(row.id),
                name: row.name,
                system_prompt: row.system_prompt,
                model: row.model,
                temperature: row.temperature,
                max_tokens: row.max_tokens,
                tool_ids: row.tool_ids,
            },
            expertise: row.expertise,
        })
        .collect())
}
