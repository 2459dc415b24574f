//! What frontends read, with a million messages stored: rates in a closed loop, latencies at a fixed rate, and what a request costs.

use super::storm::{describe, plan, send};
use crate::http::HttpConnection;
use crate::lab::{ADMIN_TOKEN, Lab, LabArgs, Running, WEBHOOKS};
use crate::numbers::per_second;
use crate::processes::{self, Watched};
use crate::report::Report;
use crate::workload::Requests;
use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use std::net::SocketAddr;

const SEED: &str = include_str!("../../sql/seed_reads.sql");

#[derive(clap::Args, Clone, Debug)]
pub struct Reads {
    #[arg(long, default_value_t = 20)]
    tenants: usize,
    #[arg(long, default_value_t = 50_000)]
    conversations: usize,
    #[arg(long, default_value_t = 1_000_000)]
    messages: usize,
    /// Requests of each list in the closed loop
    #[arg(long, default_value_t = 40_000)]
    n: usize,
    /// Connections of the closed loop
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Requests a second in the open loop, of all lists in turn
    #[arg(long, default_value_t = 500.0)]
    rate: f64,
    /// Seconds of the open loop
    #[arg(long, default_value_t = 10)]
    secs: u32,
}

/// A tenant whose owner is signed in to two contracts.
pub(super) struct Tenant {
    id: i32,
    pub(super) token: String,
    desk_token: String,
}

/// Requests that go round and round.
struct Rounds {
    made: Vec<Vec<u8>>,
    count: usize,
}

impl Requests for Rounds {
    fn count(&self) -> usize {
        self.count
    }

    fn bytes<'a>(&'a self, index: usize, _scratch: &'a mut Vec<u8>) -> Result<&'a [u8]> {
        let request = self.made.get(index % self.made.len().max(1)).context("there is no request")?;
        Ok(request)
    }
}

pub async fn run(args: &LabArgs, reads: &Reads) -> Result<Report> {
    let lab = Lab::prepare(args, &[]).await?;
    let mut running = lab.start(WEBHOOKS).await?;
    let (address, count) = (running.address, reads.tenants);
    let tenants = tokio::task::spawn_blocking(move || register(address, count)).await??;
    let tenants = number(&lab, tenants).await?;
    seed(&lab, &tenants, reads).await?;
    drop(running);
    running = lab.start(WEBHOOKS).await?;
    let watched = lab.watched(&running).await?;

    let lists = lists(&tenants, running.address);
    let mut results = Map::new();
    let mut failed = 0;
    for (name, made) in &lists {
        let before = watched.cpu()?;
        let outcome = send(plan(running.address, reads.connections, None, 1), Rounds { made: made.clone(), count: reads.n }).await?;
        let after = watched.cpu()?;
        failed += outcome.failed;
        results.insert(
            (*name).to_owned(),
            json!({
                "per_s": per_second(outcome.accepted, outcome.elapsed),
                "answer": describe(&outcome),
                "cpu_s_per_1000": processes::per_thousand(&before, &after, reads.n),
            }),
        );
    }
    let (paced, lost) = paced(reads, &running, &watched, &lists).await?;
    results.insert("paced".to_owned(), paced);
    results.insert("memory_mb".to_owned(), watched.memory()?);
    running.check_alive()?;
    let report = Report {
        scenario: "reads",
        passed: failed + lost == 0,
        settings: json!({ "tenants": reads.tenants, "conversations": reads.conversations, "messages": reads.messages, "n": reads.n,
            "connections": reads.connections, "rate": reads.rate, "secs": reads.secs }),
        results: results.into(),
    };
    report.publish(&lab).await?;
    Ok(report)
}

/// All lists in turn at a fixed rate. Returns what was measured and how many requests failed.
async fn paced(reads: &Reads, running: &Running, watched: &Watched, lists: &[(&'static str, Vec<Vec<u8>>)]) -> Result<(Value, usize)> {
    let longest = lists.iter().map(|(_, made)| made.len()).max().unwrap_or(0);
    let made =
        (0..longest).flat_map(|index| lists.iter().filter_map(move |(_, made)| made.get(index % made.len().max(1)).cloned())).collect();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few thousand")]
    let count = (reads.rate * f64::from(reads.secs)) as usize;
    let before = watched.cpu()?;
    let outcome = send(plan(running.address, reads.connections, Some(reads.rate), 1), Rounds { made, count }).await?;
    let after = watched.cpu()?;
    let result = json!({ "answer": describe(&outcome), "cpu_s_per_1000": processes::per_thousand(&before, &after, count) });
    Ok((result, outcome.failed))
}

pub(super) fn register(address: SocketAddr, count: usize) -> Result<Vec<(String, Tenant)>> {
    let mut http = HttpConnection::open(address)?;
    let mut post = |path: &str, body: &Value| -> Result<Value> {
        let body = body.to_string();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let (status, answer) = http.ask(request.as_bytes())?;
        anyhow::ensure!((200..300).contains(&status), "{path} answered {status}: {}", String::from_utf8_lossy(&answer));
        Ok(serde_json::from_slice(&answer)?)
    };
    let text = |answer: &Value, place: &str| {
        answer.pointer(place).and_then(Value::as_str).map(str::to_owned).with_context(|| format!("{place} is missing in an answer"))
    };
    let mut tenants = Vec::new();
    for number in 0..count {
        let (email, password) = (format!("owner{number}@bench.example"), "bench password");
        let session = post("/api/auth/register", &json!({"email": email, "password": password}))?;
        let desk = post("/api/login", &json!({"username": email, "password": password}))?;
        let public_id = text(&session, "/tenant/id")?;
        let tenant = Tenant { id: 0, token: text(&session, "/accessToken")?, desk_token: text(&desk, "/access_token")? };
        tenants.push((public_id, tenant));
    }
    Ok(tenants)
}

/// Fills in the tenants' integer ids.
async fn number(lab: &Lab, tenants: Vec<(String, Tenant)>) -> Result<Vec<Tenant>> {
    let mut numbered = Vec::new();
    for (public_id, tenant) in tenants {
        let row = lab.database.client.query_one("SELECT id FROM tenants WHERE public_id::text = $1", &[&public_id]).await?;
        numbered.push(Tenant { id: row.try_get(0)?, ..tenant });
    }
    Ok(numbered)
}

async fn seed(lab: &Lab, tenants: &[Tenant], reads: &Reads) -> Result<()> {
    let ids = tenants.iter().map(|tenant| tenant.id.to_string()).collect::<Vec<_>>().join(", ");
    let sql = SEED
        .replace("{tenants}", &ids)
        .replace("{conversations}", &reads.conversations.to_string())
        .replace("{messages}", &reads.messages.to_string());
    eprintln!("seeding {} messages", reads.messages);
    lab.database.client.batch_execute(&sql).await.context("seeding")?;
    Ok(lab.database.client.batch_execute("VACUUM ANALYZE").await?)
}

/// The lists, a request for each tenant.
fn lists(tenants: &[Tenant], address: SocketAddr) -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let get = |path: &str, header: &str| format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{header}\r\n\r\n").into_bytes();
    let bearer = |token: &str| format!("Authorization: Bearer {token}");
    vec![
        ("conversations", tenants.iter().map(|tenant| get("/api/conversations?limit=50", &bearer(&tenant.token))).collect()),
        ("messages", tenants.iter().map(|tenant| get("/api/messages?limit=50", &bearer(&tenant.token))).collect()),
        ("tickets", tenants.iter().map(|tenant| get("/api/tickets?limit=50", &bearer(&tenant.desk_token))).collect()),
        (
            "summary",
            tenants
                .iter()
                .map(|tenant| get(&format!("/admin/chats/summary?tenant_id={}", tenant.id), &format!("X-Admin-Token: {ADMIN_TOKEN}")))
                .collect(),
        ),
        ("summary_of_all", vec![get("/admin/chats/summary", &format!("X-Admin-Token: {ADMIN_TOKEN}"))]),
    ]
}
