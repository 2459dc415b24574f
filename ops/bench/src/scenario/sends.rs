//! Messages on their way out: how many a second one worker hands to a provider that takes 20 ms, each once and in the order of its
//! conversation.

use super::reads::register;
use super::storm::{plan, send};
use crate::http::HttpConnection;
use crate::lab::{Lab, LabArgs, Plan};
use crate::numbers::{per_second, rounded};
use crate::processes;
use crate::provider::Provider;
use crate::report::Report;
use crate::workload::Requests;
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Customers who have just written.
pub(super) const SEED: &str = include_str!("../../sql/seed_sends.sql");
const NUMBER: &str = "106540352242900";
/// Everything but sending.
const WRITING: Plan = Plan { api: true, queues: Some("webhooks,overrides,chores"), bench_jobs: false };
const SENDING: Plan = Plan { api: true, queues: None, bench_jobs: false };

#[derive(clap::Args, Clone, Debug)]
pub struct Sends {
    #[arg(long, default_value_t = 20_000)]
    messages: usize,
    #[arg(long, default_value_t = 1_000)]
    conversations: usize,
    /// What the number may send a second: a number that Meta has upgraded 1,000, others 80
    #[arg(long, default_value_t = 1_000)]
    per_second: u32,
    /// What a call to the provider takes, in milliseconds
    #[arg(long, default_value_t = 20)]
    provider_ms: u64,
}

/// The numbers 0, 1, 2 ... to each customer in turn.
struct Texts {
    address: SocketAddr,
    token: String,
    messages: usize,
    conversations: usize,
    from: usize,
}

impl Requests for Texts {
    fn count(&self) -> usize {
        self.messages
    }

    fn bytes<'a>(&'a self, index: usize, scratch: &'a mut Vec<u8>) -> Result<&'a [u8]> {
        let place = self.from + index;
        let (person, number) = (place % self.conversations, place / self.conversations);
        let body = json!({"to": phone(person), "type": "text", "content": {"text": number.to_string()}}).to_string();
        scratch.clear();
        scratch.extend_from_slice(&post(self.address, "/api/messages", &self.token, &body));
        Ok(scratch)
    }
}

fn phone(person: usize) -> String {
    format!("+1555{person:07}")
}

pub(super) fn post(address: SocketAddr, path: &str, token: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

pub async fn run(args: &LabArgs, sends: &Sends) -> Result<Report> {
    let local = tokio::task::LocalSet::new();
    local.run_until(measure(args, sends)).await
}

async fn measure(args: &LabArgs, sends: &Sends) -> Result<Report> {
    let provider = Provider::start(Duration::from_millis(sends.provider_ms), None).await?;
    let mut lab = Lab::prepare(args, &[]).await?;
    lab.provider = Some(format!("http://{}", provider.address));
    let running = lab.start(WRITING).await?;
    let address = running.address;
    let limit = sends.per_second;
    let token = tokio::task::spawn_blocking(move || connect(address, limit)).await??;
    let seed = SEED.replace("{conversations}", &sends.conversations.to_string()).replace("{number}", NUMBER);
    lab.database.client.batch_execute(&seed).await.context("seeding")?;
    // One round after the other, so that each customer's texts are written in their order.
    let rounds = sends.messages / sends.conversations;
    for round in 0..rounds {
        let texts = Texts {
            address,
            token: token.clone(),
            messages: sends.conversations,
            conversations: sends.conversations,
            from: round * sends.conversations,
        };
        let written = send(plan(address, 16, None, 1), texts).await?;
        ensure!(written.failed == 0, "messages were not taken: {:?}", written.first_problem);
    }
    let messages = rounds * sends.conversations;
    drop(running);

    let mut running = lab.start(SENDING).await?;
    let watched = lab.watched(&running).await?;
    let (before, started, begun_with) = (watched.cpu()?, Instant::now(), provider.came.borrow().messages);
    let left = "SELECT count(*) FROM chat_messages WHERE direction = 'outbound' AND status IN ('pending', 'sending')";
    let waiting: i64 = lab.database.client.query_one(left, &[]).await?.try_get(0)?;
    // The query is only made when the provider has them all: it costs as much as some messages.
    while provider.came.borrow().messages < messages || lab.database.client.query_one(left, &[]).await?.try_get::<_, i64>(0)? > 0 {
        running.check_alive()?;
        ensure!(started.elapsed() < Duration::from_mins(10), "messages still wait");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (elapsed, after) = (started.elapsed(), watched.cpu()?);
    let sent: i64 = lab
        .database
        .client
        .query_one("SELECT count(*) FROM chat_messages WHERE direction = 'outbound' AND status = 'sent' AND external_id IS NOT NULL", &[])
        .await?
        .try_get(0)?;
    let came = provider.came.take();
    let report = Report {
        scenario: "sends",
        passed: came.messages == messages && came.twice == 0 && came.out_of_order == 0 && usize::try_from(sent)? == messages,
        settings: json!({ "messages": messages, "conversations": sends.conversations, "provider_ms": sends.provider_ms, "per_second": sends.per_second }),
        results: json!({
            "per_s": per_second(usize::try_from(waiting)?, elapsed), "seconds": rounded(elapsed.as_secs_f64(), 3),
            "sent": sent, "came": came.messages, "before_the_clock": begun_with, "twice": came.twice, "out_of_order": came.out_of_order,
            "cpu_s_per_1000": processes::per_thousand(&before, &after, usize::try_from(waiting)?),
            "memory_mb": watched.memory()?,
        }),
    };
    report.publish(&lab).await?;
    Ok(report)
}

/// A tenant with a WhatsApp channel that has a token; returns its owner's token.
fn connect(address: SocketAddr, per_second: u32) -> Result<String> {
    let token = register(address, 1)?.remove(0).1.token;
    let config = json!({"phoneNumberId": NUMBER, "accessToken": "token of the bench", "messagesPerSecond": per_second});
    let body = json!({"type": "WHATSAPP", "name": "WhatsApp", "config": config}).to_string();
    let (status, answer) = HttpConnection::open(address)?.ask(&post(address, "/api/channels", &token, &body))?;
    ensure!(status == 201, "the channel was answered {status}: {}", String::from_utf8_lossy(&answer));
    Ok(token)
}
