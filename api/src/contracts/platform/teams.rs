//! Teams of agents: the lead answers customers, and asks the members.

use super::agents::PageQuery;
use crate::{prelude::*, request};
use std::collections::BTreeSet;
use store::{
    PgConnection, StoreError, audit,
    teams::{self, Member as TeamMember, Team, TeamSettings},
};
use uuid::Uuid;

const MOST_MEMBERS: usize = 20;

/// A team. While it is active and its lead is too, the lead answers customers, before agents that lead none.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TeamView {
    id: Uuid,
    name: String,
    description: Option<String>,
    lead_id: Uuid,
    is_active: bool,
    members: Vec<MemberView>,
    created_at: Time,
    updated_at: Time,
}

/// An agent that the lead may ask.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct MemberView {
    agent_id: Uuid,
    /// What the lead is told that the agent knows.
    #[salvo(schema(min_length = 1, max_length = 1_000))]
    expertise: String,
}

/// A team to make, or what to change of one: absent fields stay, null takes away. `name` and `lead_id` are required to make one.
#[derive(Debug, Deserialize, ToSchema)]
#[salvo(schema(example = json!({"name": "Shop", "lead_id": "018f4f3e-0000-7000-8000-000000000000",
    "members": [{"agent_id": "018f4f3e-0000-7000-8000-000000000001", "expertise": "Returns and refunds"}]})))]
pub(super) struct TeamBody {
    #[salvo(schema(min_length = 1, max_length = 100))]
    name: Option<String>,
    #[serde(default)]
    #[salvo(schema(value_type = Option<String>, max_length = 2_000))]
    description: Patch<String>,
    /// The agent that talks with customers.
    lead_id: Option<Uuid>,
    /// True unless given.
    is_active: Option<bool>,
    /// In the place of those there were.
    members: Option<Vec<MemberView>>,
}

impl From<Team> for TeamView {
    fn from(row: Team) -> Self {
        let view = |member: TeamMember| MemberView { agent_id: member.agent_id, expertise: member.expertise };
        Self {
            id: row.id,
            name: row.name,
            description: row.description,
            lead_id: row.lead_id,
            is_active: row.active,
            members: row.members.0.into_iter().map(view).collect(),
            created_at: Time(row.created_at),
            updated_at: Time(row.updated_at),
        }
    }
}

fn not_found() -> ApiError {
    ApiError::not_found("Team")
}

fn taken(error: StoreError) -> ApiError {
    match error.violated() {
        Some("agent_teams_tenant_id_name_key") => ApiError::conflict("taken", "There is a team of this name already"),
        Some("agent_teams_lead") => ApiError::invalid_field("lead_id", "is no agent of this tenant"),
        Some("agent_team_members_agent") => ApiError::invalid_field("members", "must be agents of this tenant"),
        _ => error.into(),
    }
}

/// What the team is to be like; what is not given is as it was `before`.
fn settings(body: TeamBody, before: Option<Team>) -> Result<TeamSettings, ApiError> {
    let mut fields = Fields::default();
    let name = body.name.map(|name| fields.text(&name, "name", 100)).or_else(|| before.as_ref().map(|team| team.name.clone()));
    let name = fields.need(name, "name", "is required").unwrap_or_default();
    let lead_id = body.lead_id.or_else(|| before.as_ref().map(|team| team.lead_id));
    let lead_id = fields.need(lead_id, "lead_id", "is required").unwrap_or_default();
    let description = body.description.or_before(before.as_ref().and_then(|team| team.description.clone()));
    fields.at_most(description.as_deref(), "description", 2_000);
    let mut read =
        |given: MemberView| TeamMember { agent_id: given.agent_id, expertise: fields.text(&given.expertise, "members.expertise", 1_000) };
    let members: Vec<TeamMember> = match body.members {
        Some(given) => given.into_iter().map(&mut read).collect(),
        None => before.as_ref().map(|team| team.members.0.clone()).unwrap_or_default(),
    };
    fields.check(members.len() <= MOST_MEMBERS, "members", "must be at most 20");
    let different: BTreeSet<Uuid> = members.iter().map(|member| member.agent_id).chain([lead_id]).collect();
    fields.check(different.len() == members.len() + 1, "members", "must be different agents, and not the lead");
    fields.finish()?;
    let active = body.is_active.unwrap_or_else(|| before.is_none_or(|team| team.active));
    Ok(TeamSettings { name, description, lead_id, active, members })
}

async fn show(conn: &mut PgConnection, caller: &Caller, id: Uuid) -> Result<TeamView, ApiError> {
    teams::get(conn, caller.tenant, id).await?.map(TeamView::from).ok_or_else(not_found)
}

/// List teams
///
/// For owners and admins; the oldest first.
#[endpoint]
pub(super) async fn list_teams(app: App, caller: Admin, query: Query<PageQuery>) -> Result<Ok200<Vec<TeamView>>, ApiError> {
    let (Admin(caller), Query(query)) = (caller, query);
    let page = (request::limit(query.limit)?, request::offset(query.offset)?);
    let mut tx = app.tenants.begin(caller.tenant).await?;
    Ok200::new(&teams::list(&mut tx, caller.tenant, None, page).await?.into_iter().map(TeamView::from).collect())
}

/// Read a team
///
/// For owners and admins.
#[endpoint]
pub(super) async fn get_team(app: App, caller: Admin, team_id: Path<Uuid>) -> Result<Ok200<TeamView>, ApiError> {
    let Admin(caller) = caller;
    let mut tx = app.tenants.begin(caller.tenant).await?;
    Ok200::new(&show(&mut tx, &caller, team_id.0).await?)
}

/// Make a team
///
/// By owners and admins. What the agents ask each other is shown with the runs of a session.
#[endpoint]
pub(super) async fn post_team(app: App, caller: Admin, body: Body<TeamBody>, key: RequestKey) -> Result<Created<TeamView>, ApiError> {
    let (Admin(caller), Body(body)) = (caller, body);
    let new = settings(body, None)?;
    let mut work = match app.begin_once(&caller, &key).await? {
        Begun::Answered(reply) => return Ok(reply),
        Begun::Work(work) => work,
    };
    let id = Uuid::now_v7();
    teams::put(&mut work, caller.tenant, id, &new).await.map_err(taken)?;
    audit::note(&mut work, caller.tenant, &caller.act("team.create", id)).await?;
    let view = show(&mut work, &caller, id).await?;
    work.answer(&view).await
}

/// Change a team
///
/// By owners and admins. It counts from the next answer on.
#[endpoint]
pub(super) async fn put_team(app: App, caller: Admin, team_id: Path<Uuid>, body: Body<TeamBody>) -> Result<Ok200<TeamView>, ApiError> {
    let (Admin(caller), Body(body), id) = (caller, body, team_id.0);
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let before = teams::get(&mut tx, caller.tenant, id).await?.ok_or_else(not_found)?;
    let with = settings(body, Some(before))?;
    teams::put(&mut tx, caller.tenant, id, &with).await.map_err(taken)?;
    audit::note(&mut tx, caller.tenant, &caller.act("team.update", id)).await?;
    let view = show(&mut tx, &caller, id).await?;
    tx.commit().await?;
    Ok200::new(&view)
}

/// Delete a team
///
/// By owners and admins. Its agents stay.
#[endpoint]
pub(super) async fn delete_team(app: App, caller: Admin, team_id: Path<Uuid>) -> Result<NoContent, ApiError> {
    let (Admin(caller), id) = (caller, team_id.0);
    let mut tx = app.tenants.begin(caller.tenant).await?;
    if !teams::delete(&mut tx, caller.tenant, id).await? {
        return Err(not_found());
    }
    audit::note(&mut tx, caller.tenant, &caller.act("team.delete", id)).await?;
    tx.commit().await?;
    Ok(NoContent)
}
