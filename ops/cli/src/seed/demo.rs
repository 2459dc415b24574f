//! A lifelike demo tenant: people of each role, channels, customers and what was said, tickets, appointments, templates. Made once.

use super::story::{APPOINTMENTS, CUSTOMERS, Line, PEOPLE, TEMPLATES, TICKETS};
use crate::{
    error::CliError,
    settings::{Settings, sealing},
};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{ChannelInstanceId, ChannelType, ConversationId, TenantId, UserId, UserRole};
use platform::{Secret, passwords};
use serde_json::{Map, Value, json};
use store::{
    PgConnection, PgPool, StoreError,
    calendar_events::{self, NewCalendarEvent},
    channels::{self, Channel},
    contacts::{self, NewContact},
    conversation_lists,
    demo::{self, PastMessage},
    operator_status, outbound,
    templates::{self, NewTemplate},
    tenants::SeededChannel,
    tickets::{self, NewTicket},
    users::{self, NewUser},
    widgets::{self, Widget},
};

/// Somebody who can sign in to the demo.
#[derive(Clone, Debug)]
pub(crate) struct DemoUser {
    pub(crate) email: &'static str,
    pub(crate) username: Option<&'static str>,
    pub(crate) role: UserRole,
}

/// The people of the demo tenant.
pub(crate) fn people() -> Vec<DemoUser> {
    PEOPLE.iter().map(|(email, username, _, role)| DemoUser { email, username: *username, role: *role }).collect()
}

/// Fills the demo tenant, unless somebody is in it already. True: it was filled, with this password for everybody.
pub(crate) async fn fill(pool: &PgPool, settings: &Settings, channel: &SeededChannel, password: &str) -> Result<bool, CliError> {
    if let Err(problem) = passwords::check(password) {
        return Err(CliError::Usage(format!("DEMO_PASSWORD {problem}: choose another")));
    }
    let hash =
        passwords::hash(&Secret::new(password)).map_err(|error| CliError::Usage(format!("the password cannot be hashed: {error}")))?;
    let now = operator_status::now(pool).await?;
    let mut tx = pool.begin().await.map_err(StoreError::from)?;
    let tenant = channel.tenant_id;
    if users::count(&mut tx, tenant).await? > 0 {
        return Ok(false);
    }
    let team = make_people(&mut tx, tenant, &hash).await?;
    make_channels(&mut tx, settings, channel, now).await?;
    let conversations = make_conversations(&mut tx, tenant, channel.channel_id, &team, now).await?;
    make_tickets(&mut tx, tenant, &conversations, &team, now).await?;
    make_templates(&mut tx, tenant, &team).await?;
    widgets::put(&mut tx, tenant, &Widget { enabled: true, title: "Demo".to_owned(), ..Widget::default() }).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(true)
}

async fn make_people(conn: &mut PgConnection, tenant: TenantId, hash: &str) -> Result<Vec<UserId>, CliError> {
    let mut team = Vec::new();
    for (email, username, name, role) in PEOPLE {
        let user = NewUser {
            email: Some((*email).to_owned()),
            username: username.map(str::to_owned),
            name: (*name).to_owned(),
            role: *role,
            password_hash: Some(hash.to_owned()),
        };
        let made = users::create(conn, tenant, &user).await.map_err(|error| match error.violated() {
            Some("users_email" | "users_username") => {
                CliError::Usage(format!("{email} belongs to another tenant, so the demo's people cannot be made"))
            }
            _ => error.into(),
        })?;
        team.push(made.id);
    }
    Ok(team)
}

/// The demo number's token, if `META_ACCESS_TOKEN` gives one, and two channels that wait to be set up.
async fn make_channels(conn: &mut PgConnection, settings: &Settings, seeded: &SeededChannel, now: DateTime<Utc>) -> Result<(), CliError> {
    if let (Some(token), Some(mut channel)) =
        (settings.get("META_ACCESS_TOKEN"), channels::lock(conn, seeded.tenant_id, seeded.channel_id).await?)
    {
        let place = channels::secret_place(channel.id, "accessToken");
        let sealed = sealing(settings).seal(&place, token).map_err(|error| CliError::Usage(error.to_string()))?;
        channel.secrets.insert("accessToken".to_owned(), Value::String(sealed));
        channels::update(conn, seeded.tenant_id, &channel).await?;
    }
    for (kind, name) in [(ChannelType::Facebook, "Facebook page"), (ChannelType::Widget, "Website")] {
        let channel = Channel {
            id: ChannelInstanceId::generate(),
            kind,
            external_id: None,
            name: name.to_owned(),
            status: "DISCONNECTED".to_owned(),
            config: Map::new(),
            metadata: Map::new(),
            secrets: Map::new(),
            created_at: now,
            updated_at: now,
        };
        channels::create(conn, seeded.tenant_id, &channel).await?;
    }
    Ok(())
}

async fn make_conversations(
    conn: &mut PgConnection,
    tenant: TenantId,
    channel: ChannelInstanceId,
    team: &[UserId],
    now: DateTime<Utc>,
) -> Result<Vec<ConversationId>, CliError> {
    let contacts: Vec<NewContact> = CUSTOMERS
        .iter()
        .map(|customer| NewContact {
            phone_number: customer.phone.to_owned(),
            name: Some(customer.name.to_owned()),
            email: customer.email.map(str::to_owned),
            tags: customer.tags.iter().map(|tag| (*tag).to_owned()).collect(),
        })
        .collect();
    contacts::upsert(conn, tenant, &contacts.iter().collect::<Vec<_>>()).await?;
    let mut conversations = Vec::new();
    let mut messages = Vec::new();
    for customer in CUSTOMERS {
        let conversation = outbound::conversation_with(conn, tenant, channel, customer.phone).await?;
        conversations.push(conversation);
        messages.extend(customer.said.iter().map(|line| {
            let (inbound, by, ago, text) = match line {
                Line::Customer(ago, text) => (true, None, ago, text),
                Line::Bot(ago, text) => (false, None, ago, text),
                Line::Person(who, ago, text) => (false, team.get(*who).copied(), ago, text),
            };
            PastMessage { conversation, inbound, by, text: (*text).to_owned(), at: now - TimeDelta::minutes(*ago) }
        }));
    }
    demo::add(conn, tenant, &messages).await?;
    Ok(conversations)
}

async fn make_tickets(
    conn: &mut PgConnection,
    tenant: TenantId,
    conversations: &[ConversationId],
    team: &[UserId],
    now: DateTime<Utc>,
) -> Result<(), CliError> {
    let Some(owner) = team.first() else { return Ok(()) };
    let mut made = Vec::new();
    for ticket in TICKETS {
        let Some(conversation) = conversations.get(ticket.customer) else { continue };
        let Some(row) = conversation_lists::get(conn, tenant, *conversation).await? else { continue };
        let new = NewTicket {
            customer: row.customer_id,
            conversation: Some(row.id),
            subject: ticket.subject,
            description: Some(ticket.description),
            priority: ticket.priority,
            status: ticket.status,
            assigned_to: ticket.assigned_to.and_then(|who| team.get(who)).map(|user| user.0),
            due_at: ticket.due_in_hours.map(|hours| now + TimeDelta::hours(hours)),
            created_by: Some(owner.0),
        };
        made.push(tickets::create(conn, tenant, &new).await?);
    }
    for (title, description, in_hours, minutes, ticket) in APPOINTMENTS {
        let ticket = match ticket.and_then(|index| made.get(index)) {
            Some(number) => tickets::get(conn, tenant, *number).await?.map(|ticket| ticket.id),
            None => None,
        };
        let start = now + TimeDelta::hours(*in_hours);
        let new = NewCalendarEvent {
            title,
            description: Some(description),
            start_time: start,
            end_time: start + TimeDelta::minutes(*minutes),
            created_by: Some(owner.0),
            ticket,
        };
        calendar_events::create(conn, tenant, &new).await?;
    }
    Ok(())
}

async fn make_templates(conn: &mut PgConnection, tenant: TenantId, team: &[UserId]) -> Result<(), CliError> {
    let Some(owner) = team.first() else { return Ok(()) };
    for (name, category, body) in TEMPLATES {
        let components = json!([{"type": "BODY", "text": body}]);
        templates::create(conn, tenant, NewTemplate { name, language: "en", category, components: &components, created_by: *owner })
            .await?;
    }
    Ok(())
}
