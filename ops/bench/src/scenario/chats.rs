//! Chats on a website: many visitors ask at once, a model on loopback takes 300 ms to its first word and then says some more, and every word is to be
//! seen by whoever asked.

use super::reads::register;
use crate::lab::{Lab, LabArgs, Plan};
use crate::numbers::rounded;
use crate::report::Report;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const ALL: Plan = Plan { api: true, queues: None, bench_jobs: false };
/// Words of an answer.
const WORDS: usize = 10;

#[derive(clap::Args, Clone, Debug)]
pub struct Chats {
    /// Visitors who ask at the same time
    #[arg(long, default_value_t = 500)]
    visitors: usize,
    /// Over how many milliseconds their first questions are spread
    #[arg(long, default_value_t = 10_000)]
    spread_ms: u64,
    /// What the model takes to its first word, in milliseconds
    #[arg(long, default_value_t = 300)]
    model_ms: u64,
    /// What it takes before each word after the first, in milliseconds: 1,500 keeps 1,000 visitors waiting at once
    #[arg(long, default_value_t = 1_500)]
    word_ms: u64,
    /// Questions of each visitor, one after the other
    #[arg(long, default_value_t = 1)]
    questions: usize,
}

/// What the model saw, by question.
#[derive(Debug, Default)]
struct Seen {
    asked: HashMap<String, Instant>,
    /// When the first word was said.
    said: HashMap<String, Instant>,
    at_once: usize,
    most_at_once: usize,
    twice: usize,
}

pub async fn run(args: &LabArgs, chats: &Chats) -> Result<Report> {
    let local = tokio::task::LocalSet::new();
    local.run_until(measure(args, chats)).await
}

async fn measure(args: &LabArgs, chats: &Chats) -> Result<Report> {
    let seen = Rc::<RefCell<Seen>>::default();
    let pauses = (Duration::from_millis(chats.model_ms), Duration::from_millis(chats.word_ms));
    let model = model(pauses, seen.clone()).await?;
    let mut lab = Lab::prepare(args, &[]).await?;
    lab.model = Some(format!("http://{model}"));
    let mut running = lab.start(ALL).await?;
    let address = running.address;
    let (tenant, token) = tokio::task::spawn_blocking(move || set_up(address)).await??;
    let watched = lab.watched(&running).await?;
    let idle = watched.memory()?;
    let started = Instant::now();
    let mut visitors = Vec::new();
    for visitor in 0..chats.visitors {
        let wait = Duration::from_millis(chats.spread_ms * visitor as u64 / chats.visitors.max(1) as u64);
        let (seen, path, token, questions) = (seen.clone(), format!("/api/{tenant}/chat"), token.clone(), chats.questions);
        visitors.push(tokio::task::spawn_local(async move {
            tokio::time::sleep(wait).await;
            visit(address, &path, &token, visitor, questions, &seen).await
        }));
    }
    let (mut added, mut first_word, mut busy, mut answered) = (Vec::new(), Vec::new(), None, 0);
    for (number, visitor) in visitors.into_iter().enumerate() {
        let times = visitor.await??;
        answered += times.len();
        added.extend(times.iter().map(|times| times.0));
        first_word.extend(times.iter().map(|times| times.1));
        if number == chats.visitors / 2 {
            busy = Some(watched.memory()?);
        }
    }
    running.check_alive()?;
    let elapsed = started.elapsed();
    let stored: i64 =
        lab.database.client.query_one("SELECT count(*) FROM chat_messages WHERE direction = 'outbound'", &[]).await?.try_get(0)?;
    let seen = seen.take();
    let questions = chats.visitors * chats.questions;
    let report = Report {
        scenario: "chats",
        passed: answered == questions && usize::try_from(stored)? == questions && seen.twice == 0,
        settings: json!({"visitors": chats.visitors, "spread_ms": chats.spread_ms, "model_ms": chats.model_ms, "word_ms": chats.word_ms, "questions": chats.questions}),
        results: json!({
            "added_ms": percentiles(&mut added), "first_word_ms": percentiles(&mut first_word), "answered": answered, "stored": stored,
            "asked_twice": seen.twice, "most_at_once": seen.most_at_once, "seconds": rounded(elapsed.as_secs_f64(), 3),
            "memory_mb": {"idle": idle, "busy": busy},
        }),
    };
    report.publish(&lab).await?;
    Ok(report)
}

fn percentiles(values: &mut [f64]) -> Value {
    values.sort_by(f64::total_cmp);
    let at = |share: usize| values.get((values.len() * share / 1_000).min(values.len().saturating_sub(1))).map(|value| rounded(*value, 1));
    json!({"p50": at(500), "p99": at(990), "max": at(999)})
}

/// A tenant with an agent: its UUID, and its owner's token.
pub(super) fn set_up(address: SocketAddr) -> Result<(String, String)> {
    let (tenant, owner) = register(address, 1)?.remove(0);
    let body = json!({"name": "Desk", "system_prompt": "Be kind."}).to_string();
    let request = super::sends::post(address, "/api/admin/agents", &owner.token, &body);
    let (status, answer) = crate::http::HttpConnection::open(address)?.ask(&request)?;
    ensure!(status == 201, "the agent was answered {status}: {}", String::from_utf8_lossy(&answer));
    Ok((tenant, owner.token))
}

/// Asks its questions, and returns of each how long it was until the model was asked, and from the model's first word until it was seen.
async fn visit(
    address: SocketAddr,
    path: &str,
    token: &str,
    visitor: usize,
    questions: usize,
    seen: &Rc<RefCell<Seen>>,
) -> Result<Vec<(f64, f64)>> {
    let session = format!("{:08x}-0000-4000-8000-{:012x}", std::process::id(), visitor);
    let mut times = Vec::new();
    for number in 0..questions {
        let question = format!("question {visitor} {number}");
        let body = json!({"session_id": session, "message": question, "message_id": question}).to_string();
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nAccept: text/event-stream\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let sent = Instant::now();
        stream.write_all(request.as_bytes()).await?;
        let (mut text, mut chunk, mut seen_at) = (String::new(), [0; 8192], None);
        while !text.contains("event: message\n") {
            let count = tokio::time::timeout(Duration::from_mins(2), stream.read(&mut chunk)).await.context("nothing comes")??;
            ensure!(count > 0, "the answer ended without a message: {text}");
            text.push_str(&String::from_utf8_lossy(chunk.get(..count).unwrap_or_default()));
            if seen_at.is_none() && text.contains("event: token\n") {
                seen_at = Some(Instant::now());
            }
        }
        ensure!(text.contains("word9 "), "not every word came: {text}");
        let seen = seen.borrow();
        let (asked, said) =
            (seen.asked.get(&question).context("the model was not asked")?, seen.said.get(&question).context("it said nothing")?);
        let ms = |from: Instant, to: Instant| to.saturating_duration_since(from).as_secs_f64() * 1e3;
        times.push((ms(sent, *asked), ms(*said, seen_at.context("no word was seen")?)));
    }
    Ok(times)
}

/// Answers as <https://platform.openai.com/docs/api-reference/chat-streaming> says, until its local set ends.
async fn model(pauses: (Duration, Duration), seen: Rc<RefCell<Seen>>) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::task::spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let seen = seen.clone();
            tokio::task::spawn_local(async move { Box::pin(answer(stream, pauses, &seen)).await });
        }
    });
    Ok(address)
}

async fn answer(mut stream: TcpStream, (first, between): (Duration, Duration), seen: &Rc<RefCell<Seen>>) -> Result<()> {
    stream.set_nodelay(true)?;
    let (mut input, mut chunk) = (Vec::new(), [0; 16_384]);
    let (end, length) = loop {
        let count = stream.read(&mut chunk).await?;
        ensure!(count > 0, "a request was cut off");
        input.extend_from_slice(chunk.get(..count).unwrap_or_default());
        if let Some((end, length)) = crate::provider::head(&input)
            && input.len() >= end + length
        {
            break (end, length);
        }
    };
    let body: Value = serde_json::from_slice(input.get(end..end + length).unwrap_or_default())?;
    let turns = body.get("messages").and_then(Value::as_array).context("no messages")?;
    let question = turns.last().and_then(|turn| turn.get("content")).and_then(Value::as_str).context("no question")?.to_owned();
    {
        let mut seen = seen.borrow_mut();
        seen.twice += usize::from(seen.asked.insert(question.clone(), Instant::now()).is_some());
        seen.at_once += 1;
        seen.most_at_once = seen.most_at_once.max(seen.at_once);
    }
    tokio::time::sleep(first).await;
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n").await?;
    for word in 0..WORDS {
        if word == 0 {
            seen.borrow_mut().said.insert(question.clone(), Instant::now());
        } else {
            tokio::time::sleep(between).await;
        }
        let piece = json!({"choices": [{"index": 0, "delta": {"content": format!("word{word} ")}, "finish_reason": null}]});
        stream.write_all(format!("data: {piece}\n\n").as_bytes()).await?;
    }
    let last = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
    stream.write_all(format!("data: {last}\n\ndata: [DONE]\n\n").as_bytes()).await?;
    seen.borrow_mut().at_once -= 1;
    Ok(())
}
