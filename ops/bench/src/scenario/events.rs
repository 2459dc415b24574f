//! Those who watch: how long from a webhook's being sent until a Socket.IO client hears of its message, and what idle clients cost.

use super::reads::register;
use super::sends::post;
use super::storm::{describe, plan, send};
use crate::http::HttpConnection;
use crate::lab::{APP_SECRET, Lab, LabArgs, WEBHOOK_PATH, WEBHOOKS};
use crate::load;
use crate::numbers::microseconds;
use crate::report::Report;
use crate::workload::{MadeOnDemand, Requests, Target, Workload};
use anyhow::{Context, Result, bail, ensure};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

/// How long after the last webhook the last event may come.
const LATEST: Duration = Duration::from_secs(30);

#[derive(clap::Args, Clone, Debug)]
pub struct Events {
    /// Webhooks to send
    #[arg(long, default_value_t = 10_000)]
    n: usize,
    /// Webhooks a second
    #[arg(long, default_value_t = 500.0)]
    rate: f64,
    /// Idle clients to hold open for the memory
    #[arg(long, default_value_t = 2_000)]
    clients: usize,
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Texts that note when each was sent.
struct Noted {
    requests: MadeOnDemand,
    sent: Arc<Mutex<Vec<Option<Instant>>>>,
}

impl Requests for Noted {
    fn count(&self) -> usize {
        self.requests.count()
    }

    fn bytes<'a>(&'a self, index: usize, scratch: &'a mut Vec<u8>) -> Result<&'a [u8]> {
        if let Some(place) = self.sent.lock().unwrap_or_else(PoisonError::into_inner).get_mut(index) {
            *place = Some(Instant::now());
        }
        self.requests.bytes(index, scratch)
    }
}

pub async fn run(args: &LabArgs, events: &Events) -> Result<Report> {
    let workload = Workload::texts(events.seed, events.n, 0);
    let lab = Lab::prepare(args, &[]).await?;
    let mut running = lab.start(WEBHOOKS).await?;
    let address = running.address;
    let number = workload.phone_number_ids().first().cloned().unwrap_or_default();
    let token = tokio::task::spawn_blocking(move || connect(address, &number)).await??;

    let watched = lab.watched(&running).await?;
    let alone = watched.memory()?;
    let mut idle = Vec::with_capacity(events.clients);
    for _ in 0..events.clients {
        idle.push(watch(address, &token).await?);
    }
    let held = watched.memory()?;
    drop(idle);

    let mut client = watch(address, &token).await?;
    let sent = Arc::new(Mutex::new(vec![None; events.n]));
    let places: std::collections::HashMap<String, usize> = (0..events.n).map(|index| (workload.inbound_id(index), index)).collect();
    let target = Target::new(address, WEBHOOK_PATH, APP_SECRET);
    let sending = tokio::spawn(send(
        plan(address, 16, Some(events.rate), 1),
        Noted { requests: MadeOnDemand { workload, target }, sent: sent.clone() },
    ));
    let (mut latency, mut heard, mut twice) = (load::latencies()?, vec![false; events.n], 0);
    let mut left = events.n;
    while left > 0 {
        let Ok(event) = tokio::time::timeout(LATEST, next(&mut client)).await else { break };
        let (name, data) = event?;
        let place = data.get("whatsappId").and_then(Value::as_str).and_then(|id| places.get(id));
        let (Some(place), "message:new") = (place, name.as_str()) else { continue };
        let at = sent.lock().unwrap_or_else(PoisonError::into_inner).get(*place).copied().flatten();
        latency.saturating_record(microseconds(at.context("an event came before its webhook")?.elapsed()));
        let known = heard.get_mut(*place).context("an event has no place")?;
        if std::mem::replace(known, true) {
            twice += 1;
        } else {
            left -= 1;
        }
    }
    let outcome = sending.await??;
    running.check_alive()?;
    let report = Report {
        scenario: "events",
        passed: left == 0 && twice == 0 && outcome.failed == 0,
        settings: json!({ "n": events.n, "rate": events.rate, "clients": events.clients, "seed": events.seed }),
        results: json!({
            "event_ms": load::quantiles(&latency), "ack": describe(&outcome), "missed": left, "twice": twice,
            "memory_mb": { "no_clients": alone, "idle_clients": held },
        }),
    };
    report.publish(&lab).await?;
    Ok(report)
}

/// A tenant with a WhatsApp channel; returns its owner's token.
fn connect(address: SocketAddr, number: &str) -> Result<String> {
    let token = register(address, 1)?.remove(0).1.token;
    let config = json!({"phoneNumberId": number, "accessToken": "token of the bench"});
    let body = json!({"type": "WHATSAPP", "name": "WhatsApp", "config": config}).to_string();
    let (status, answer) = HttpConnection::open(address)?.ask(&post(address, "/api/channels", &token, &body))?;
    ensure!(status == 201, "the channel was answered {status}: {}", String::from_utf8_lossy(&answer));
    Ok(token)
}

/// Connects as a Socket.IO client does that goes to WebSocket at once, and waits until it is served.
async fn watch(address: SocketAddr, token: &str) -> Result<Socket> {
    let (mut socket, _) = connect_async(format!("ws://{address}/socket.io/?EIO=4&transport=websocket")).await?;
    text(&mut socket).await?;
    socket.send(Message::text(format!("40{}", json!({"token": token})))).await?;
    loop {
        let (name, _) = next(&mut socket).await?;
        if name == "ready" {
            return Ok(socket);
        }
    }
}

/// The next event, and what it says.
async fn next(socket: &mut Socket) -> Result<(String, Value)> {
    loop {
        let said = text(socket).await?;
        if said == "2" {
            socket.send(Message::text("3")).await?;
        } else if said.starts_with("44") {
            bail!("the server refused: {said}");
        } else if let Some(event) = said.strip_prefix("42") {
            let (name, data): (String, Value) = serde_json::from_str(event)?;
            return Ok((name, data));
        }
    }
}

async fn text(socket: &mut Socket) -> Result<String> {
    let message = socket.next().await.context("the server closed the connection")??;
    Ok(message.into_text()?.to_string())
}
