//! `switchboard seed`: the demo tenant, and tenants for WhatsApp numbers (for trials and benchmarks). Repeating it changes nothing.

mod demo;
mod story;

pub(crate) use demo::{DemoUser, fill, people};

use crate::{console, error::CliError, random_secret, settings::Settings};
use chrono::TimeDelta;
use jobs::process_webhook::requeue_unrouted;
use platform::clock::{Clock, SystemClock};
use serde_json::json;
use store::{
    PgPool, StoreError,
    tenants::{SeededChannel, ensure_tenants_with_numbers, ensure_whatsapp_channel},
};

const DEMO_STORE: &str = "Demo Store";
/// How far back webhooks are looked for that came before their channel.
const UNROUTED_DAYS: i64 = 3;
const DEMO_PHONE_NUMBER_ID: &str = "100000000000001";

#[derive(Debug, clap::Args)]
pub(crate) struct SeedArgs {
    /// Print ids and credentials as JSON
    #[arg(long)]
    json: bool,
    /// WhatsApp phone number ids: each gets a tenant, named after it, with one channel (and the demo tenant stays empty)
    #[arg(long, value_name = "ID,ID,...", value_delimiter = ',')]
    whatsapp_numbers: Vec<String>,
}

pub(crate) async fn run(args: &SeedArgs, settings: &Settings) -> Result<(), CliError> {
    let pool = settings.pool()?;
    let demo = demo_channel(&pool, settings).await?;
    let asked: Vec<String> = args.whatsapp_numbers.iter().map(|id| id.trim().to_owned()).filter(|id| !id.is_empty()).collect();
    let numbers = ensure_tenants_with_numbers(&pool, &asked).await?;
    let story = if asked.is_empty() {
        let password = settings.get("DEMO_PASSWORD").map_or_else(random_secret::make, |password| Ok(password.to_owned()))?;
        if fill(&pool, settings, &demo, &password).await? { Story::Made(password) } else { Story::ThereBefore }
    } else {
        Story::NotAsked
    };
    take_up_unrouted(&pool, std::iter::once(&demo).chain(&numbers)).await?;
    print(args, settings, &demo, &numbers, &story);
    Ok(())
}

fn print(args: &SeedArgs, settings: &Settings, demo: &SeededChannel, numbers: &[SeededChannel], story: &Story) {
    if args.json {
        let password = if let Story::Made(password) = story { Some(password.as_str()) } else { None };
        return console::line(&json(settings, demo, numbers, password).to_string());
    }
    let rows: Vec<Vec<String>> = std::iter::once(demo).chain(numbers).map(row).collect();
    console::table(&["TENANT", "STORE", "PUBLIC ID", "WHATSAPP NUMBER", "CHANNEL"], &rows);
    let about_passwords = match story {
        Story::NotAsked => return,
        Story::Made(password) => format!("password of all three: {password}"),
        Story::ThereBefore => "the demo tenant was filled before; its people keep their passwords".to_owned(),
    };
    let rows: Vec<Vec<String>> = people().into_iter().map(|user| person(&user)).collect();
    console::line("");
    console::table(&["SIGNS IN WITH", "OR", "ROLE"], &rows);
    console::line(&about_passwords);
}

/// What became of the demo's people, chats and tickets.
enum Story {
    /// Trials and benchmarks count what is stored.
    NotAsked,
    /// With this password for everybody.
    Made(String),
    ThereBefore,
}

/// The demo tenant's channel, made if it is missing. `META_PHONE_NUMBER_ID` names its number.
pub(crate) async fn demo_channel(pool: &PgPool, settings: &Settings) -> Result<SeededChannel, CliError> {
    let number = settings.get("META_PHONE_NUMBER_ID").unwrap_or(DEMO_PHONE_NUMBER_ID);
    Ok(ensure_whatsapp_channel(pool, DEMO_STORE, number).await?)
}

/// Webhooks may have come before their channel was made: the kept ones of the last days are processed now.
async fn take_up_unrouted(pool: &PgPool, channels: impl Iterator<Item = &SeededChannel>) -> Result<(), CliError> {
    let since = SystemClock.now() - TimeDelta::days(UNROUTED_DAYS);
    let mut conn = pool.acquire().await.map_err(StoreError::from)?;
    for channel in channels {
        requeue_unrouted(&mut conn, &channel.external_id, since).await?;
    }
    Ok(())
}

fn row(channel: &SeededChannel) -> Vec<String> {
    vec![
        channel.tenant_id.to_string(),
        channel.store_name.clone(),
        channel.public_id.to_string(),
        channel.external_id.clone(),
        channel.channel_id.to_string(),
    ]
}

fn person(user: &DemoUser) -> Vec<String> {
    vec![user.email.to_owned(), user.username.unwrap_or("-").to_owned(), user.role.as_str().to_owned()]
}

/// `password`: of the demo's people, if they were made now.
fn json(settings: &Settings, demo: &SeededChannel, numbers: &[SeededChannel], password: Option<&str>) -> serde_json::Value {
    let numbers: Vec<_> = numbers
        .iter()
        .map(|channel| json!({"external_id": channel.external_id, "tenant_id": channel.tenant_id, "channel_id": channel.channel_id}))
        .collect();
    let users: Vec<_> =
        people().iter().map(|user| json!({"email": user.email, "username": user.username, "role": user.role.as_str()})).collect();
    json!({
        "users": users,
        "demo_password": password.or_else(|| settings.get("DEMO_PASSWORD")),
        "tenant": {"id": demo.tenant_id, "public_id": demo.public_id, "store_name": demo.store_name},
        "channel": {"id": demo.channel_id, "external_id": demo.external_id},
        "webhook_url": format!("{}/api/webhook", settings.public_url()),
        "verify_token": settings.get("META_VERIFY_TOKEN"),
        "admin_token": settings.get("ADMIN_TOKEN"),
        "internal_api_token": settings.get("INTERNAL_API_TOKEN"),
        "whatsapp_numbers": numbers,
    })
}
