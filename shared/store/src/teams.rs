//! Teams of agents: the lead answers, and asks the members.

use crate::StoreError;
use chrono::{DateTime, Utc};
use domain::TenantId;
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

/// Who may be asked, and about what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub agent_id: Uuid,
    pub expertise: String,
}

/// A team.
#[derive(Clone, Debug, PartialEq)]
pub struct Team {
    pub id: Uuid,
    pub name: String,
    pub description: Option<String>,
    pub lead_id: Uuid,
    pub active: bool,
    pub members: Json<Vec<Member>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What a team is like: to make one, or to put in the place of what was.
#[derive(Clone, Debug)]
pub struct TeamSettings {
    pub name: String,
    pub description: Option<String>,
    pub lead_id: Uuid,
    pub active: bool,
    pub members: Vec<Member>,
}

/// The tenant's teams, the oldest first; only the one with the id `only` if it is given.
pub async fn list(
    conn: &mut PgConnection,
    tenant: TenantId,
    only: Option<Uuid>,
    (limit, offset): (i64, i64),
) -> Result<Vec<Team>, StoreError> {
    Ok(sqlx::query_as!(
        Team,
        r#"SELECT t.id, t.name, t.description, t.lead_id, t.active, t.created_at, t.updated_at,
                  (SELECT coalesce(jsonb_agg(jsonb_build_object('agent_id', m.agent_id, 'expertise', m.expertise) ORDER BY m.agent_id), '[]')
                   FROM agent_team_members m WHERE m.tenant_id = t.tenant_id AND m.team_id = t.id) AS "members!: Json<Vec<Member>>"
           FROM agent_teams t WHERE t.tenant_id = $1 AND ($2::uuid IS NULL OR t.id = $2) ORDER BY t.created_at, t.id LIMIT $3 OFFSET $4"#,
        tenant.0,
        only,
        limit,
        offset
    )
    .fetch_all(conn)
    .await?)
}

pub async fn get(conn: &mut PgConnection, tenant: TenantId, id: Uuid) -> Result<Option<Team>, StoreError> {
    Ok(list(conn, tenant, Some(id), (1, 0)).await?.pop())
}

/// Makes a team, or puts it in the place of the one with this id. A name that is taken is a violation of `agent_teams_tenant_id_name_key`; agents that are not
/// there are one of `agent_teams_lead` or `agent_team_members_agent`.
pub async fn put(conn: &mut PgConnection, tenant: TenantId, id: Uuid, new: &TeamSettings) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO agent_teams (tenant_id, id, name, description, lead_id, active) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (tenant_id, id) DO UPDATE SET name = excluded.name, description = excluded.description, lead_id = excluded.lead_id,
           active = excluded.active, updated_at = now()",
        tenant.0,
        id,
        new.name,
        new.description,
        new.lead_id,
        new.active
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!("DELETE FROM agent_team_members WHERE tenant_id = $1 AND team_id = $2", tenant.0, id).execute(&mut *conn).await?;
    let (agents, expertise): (Vec<Uuid>, Vec<String>) =
        new.members.iter().map(|member| (member.agent_id, member.expertise.clone())).unzip();
    sqlx::query!(
        "INSERT INTO agent_team_members (tenant_id, team_id, agent_id, expertise)
         SELECT $1, $2, agent_id, expertise FROM unnest($3::uuid[], $4::text[]) m(agent_id, expertise)",
        tenant.0,
        id,
        &agents,
        &expertise
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes a team; its agents stay. False: there is none.
pub async fn delete(conn: &mut PgConnection, tenant: TenantId, id: Uuid) -> Result<bool, StoreError> {
    let result = sqlx::query!("DELETE FROM agent_teams WHERE tenant_id = $1 AND id = $2", tenant.0, id).execute(conn).await?;
    Ok(result.rows_affected() == 1)
}
