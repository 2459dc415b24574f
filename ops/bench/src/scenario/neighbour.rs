//! A tenant whose provider answers at once, alone and beside one whose provider takes seconds: how long from the request that submits a
//! message until the provider has it.

use super::reads::register;
use super::sends::{SEED, post};
use super::storm::{plan, send};
use crate::http::HttpConnection;
use crate::lab::{Lab, LabArgs, Plan};
use crate::load;
use crate::numbers::{float, microseconds, rounded};
use crate::provider::Provider;
use crate::report::Report;
use crate::workload::Requests;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const QUICK: &str = "106540352242901";
const SLOW: &str = "106540352242902";
const EVERYTHING: Plan = Plan { api: true, queues: None, bench_jobs: false };

#[derive(clap::Args, Clone, Debug)]
pub struct Neighbour {
    /// Messages of the quick tenant, alone and again beside the slow one
    #[arg(long, default_value_t = 1_000)]
    n: usize,
    /// Of these, a second
    #[arg(long, default_value_t = 50.0)]
    rate: f64,
    #[arg(long, default_value_t = 200)]
    conversations: usize,
    /// Messages that wait for the slow provider, each of another conversation
    #[arg(long, default_value_t = 1_000)]
    waiting: usize,
    /// What a call of the slow provider takes, in milliseconds
    #[arg(long, default_value_t = 5_000)]
    slow_ms: u64,
}

/// The numbers from `from` on, to each customer in turn.
struct Texts {
    address: SocketAddr,
    token: String,
    count: usize,
    conversations: usize,
    from: usize,
    sent: Arc<Mutex<Vec<Option<Instant>>>>,
}

impl Requests for Texts {
    fn count(&self) -> usize {
        self.count
    }

    fn bytes<'a>(&'a self, index: usize, scratch: &'a mut Vec<u8>) -> Result<&'a [u8]> {
        let to = format!("+1555{:07}", index % self.conversations);
        let body = json!({"to": to, "type": "text", "content": {"text": (self.from + index).to_string()}}).to_string();
        if let Some(place) = self.sent.lock().unwrap_or_else(PoisonError::into_inner).get_mut(index) {
            *place = Some(Instant::now());
        }
        scratch.clear();
        scratch.extend_from_slice(&post(self.address, "/api/messages", &self.token, &body));
        Ok(scratch)
    }
}

pub async fn run(args: &LabArgs, neighbour: &Neighbour) -> Result<Report> {
    let local = tokio::task::LocalSet::new();
    local.run_until(measure(args, neighbour)).await
}

async fn measure(args: &LabArgs, neighbour: &Neighbour) -> Result<Report> {
    let slow = Duration::from_millis(neighbour.slow_ms);
    let provider = Provider::start(Duration::from_millis(20), Some((SLOW, slow))).await?;
    let mut lab = Lab::prepare(args, &[]).await?;
    lab.provider = Some(format!("http://{}", provider.address));
    let mut running = lab.start(EVERYTHING).await?;
    let address = running.address;
    let (quick_token, slow_token) = tokio::task::spawn_blocking(move || connect(address)).await??;
    for (number, conversations) in [(QUICK, neighbour.conversations), (SLOW, neighbour.waiting)] {
        let seed = SEED.replace("{conversations}", &conversations.to_string()).replace("{number}", number);
        lab.database.client.batch_execute(&seed).await.context("seeding")?;
    }
    let texts = |token: &str, count, conversations, from| {
        let sent = Arc::new(Mutex::new(vec![None; count]));
        (Texts { address, token: token.to_owned(), count, conversations, from, sent: sent.clone() }, sent)
    };

    let mut figures = Vec::new();
    for from in [0, neighbour.n] {
        let (load, sent) = texts(&quick_token, neighbour.n, neighbour.conversations, from);
        let outcome = send(plan(address, 16, Some(neighbour.rate), 1), load).await?;
        ensure!(outcome.failed == 0, "messages were not taken: {:?}", outcome.first_problem);
        let mut latency = load::latencies()?;
        let sent = std::mem::take(&mut *sent.lock().unwrap_or_else(PoisonError::into_inner));
        for (index, sent) in sent.into_iter().enumerate() {
            let number = u64::try_from(from + index)?;
            let begun = Instant::now();
            let at = loop {
                if let Some(at) = provider.came.borrow().at.get(&number) {
                    break *at;
                }
                running.check_alive()?;
                ensure!(begun.elapsed() < Duration::from_secs(30), "message {number} did not arrive");
                tokio::time::sleep(Duration::from_millis(5)).await;
            };
            let sent = sent.context("a message arrived that was not sent")?;
            latency.saturating_record(microseconds(at.saturating_duration_since(sent)));
        }
        figures.push(latency);
        if from == 0 {
            let (load, _) = texts(&slow_token, neighbour.waiting, neighbour.waiting, 0);
            let outcome = send(plan(address, 16, None, 1), load).await?;
            ensure!(outcome.failed == 0, "messages were not taken: {:?}", outcome.first_problem);
        }
    }
    let left = "SELECT count(*) FROM chat_messages WHERE direction = 'outbound' AND status IN ('pending', 'sending')";
    let still_waiting: i64 = lab.database.client.query_one(left, &[]).await?.try_get(0)?;
    let [alone, beside] = figures.as_slice() else { anyhow::bail!("two runs give two figures") };
    let times = |at: f64| float(beside.value_at_quantile(at)) / float(alone.value_at_quantile(at));
    let report = Report {
        scenario: "neighbour",
        // Otherwise the slow tenant was no burden to the end.
        passed: still_waiting > 0,
        settings: json!({
            "n": neighbour.n, "rate": neighbour.rate, "conversations": neighbour.conversations, "waiting": neighbour.waiting, "slow_ms": neighbour.slow_ms,
        }),
        results: json!({
            "alone_ms": load::quantiles(alone), "beside_ms": load::quantiles(beside), "p99_times": rounded(times(0.99), 2),
            "still_waiting": still_waiting,
        }),
    };
    report.publish(&lab).await?;
    Ok(report)
}

/// Two tenants with a WhatsApp channel each; returns their owners' tokens.
fn connect(address: SocketAddr) -> Result<(String, String)> {
    let mut tokens = register(address, 2)?.into_iter().map(|(_, owner)| owner.token);
    let (quick, slow) = (tokens.next().context("no first tenant")?, tokens.next().context("no second tenant")?);
    for (token, number) in [(&quick, QUICK), (&slow, SLOW)] {
        let config = json!({"phoneNumberId": number, "accessToken": "token of the bench"});
        let body: Value = json!({"type": "WHATSAPP", "name": "WhatsApp", "config": config});
        let (status, answer) = HttpConnection::open(address)?.ask(&post(address, "/api/channels", token, &body.to_string()))?;
        ensure!(status == 201, "the channel was answered {status}: {}", String::from_utf8_lossy(&answer));
    }
    Ok((quick, slow))
}
