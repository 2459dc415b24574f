//! Documents of one tenant: many that are ingested while the worker's memory is watched, questions that passages are found for among all of them, and a PDF
//! of 36 pages. No model and no embedder: vectors are made of the words.

use super::chats::set_up;
use crate::http::HttpConnection;
use crate::lab::{Lab, LabArgs, Plan, Running};
use crate::numbers::{float, float_of, median, rounded};
use crate::processes;
use crate::report::Report;
use crate::workload::chance::{Chance, Purpose};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::fmt::Write;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const ALL: Plan = Plan { api: true, queues: None, bench_jobs: false };
/// Documents that are asked to be ingested at once.
const AT_ONCE: usize = 500;
/// Different words in all documents; as in any language, a few of them are in every sentence.
const WORDS: usize = 30_000;
const PDF_PAGES: usize = 36;
const ROUNDS: usize = 3;
const PATIENCE: Duration = Duration::from_mins(30);

#[derive(clap::Args, Clone, Debug)]
pub struct Knowledge {
    /// Documents
    #[arg(long, default_value_t = 10_000)]
    documents: usize,
    /// Characters of each: 9,000 are some ten passages
    #[arg(long, default_value_t = 9_000)]
    chars: usize,
    /// Questions in each of three rounds, one after the other
    #[arg(long, default_value_t = 300)]
    questions: usize,
}

/// A tenant that knows things.
struct Office {
    address: SocketAddr,
    tenant: String,
    token: String,
}

pub async fn run(args: &LabArgs, knowledge: &Knowledge) -> Result<Report> {
    let lab = Lab::prepare(args, &[]).await?;
    let mut running = lab.start(ALL).await?;
    let address = running.address;
    let (tenant, token) = tokio::task::spawn_blocking(move || set_up(address)).await??;
    let office = Office { address, tenant, token };
    let pdf = pdf_seconds(&lab, &office).await?;
    let mut chance = Chance::new(7, Purpose::Document, 0);
    let (memory, seconds) = fill(&lab, &running, &office, knowledge, &mut chance).await?;
    lab.database.client.batch_execute("VACUUM ANALYZE").await?;
    let chunks: i64 = lab.database.client.query_one("SELECT count(*) FROM knowledge_chunks", &[]).await?.try_get(0)?;
    // The first question reads all vectors into memory.
    let first = ask(&office, &mut chance)?;
    let with_index = processes::rss_of(running.worker.pid())?;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let before = Found::read(&running)?;
        let began = Instant::now();
        for _ in 0..knowledge.questions {
            ask(&office, &mut chance)?;
        }
        let per_question = began.elapsed().as_secs_f64() * 1e3 / float_of(knowledge.questions.max(1));
        let found = Found::read(&running)?.since(&before);
        ensure!(found.count == knowledge.questions as u64, "{} of {} questions were looked up", found.count, knowledge.questions);
        rounds.push(
            json!({"mean_ms": rounded(found.seconds * 1e3 / float(found.count), 2), "within_25_ms": share(found.within_25, found.count),
            "within_50_ms": share(found.within_50, found.count), "whole_answer_mean_ms": rounded(per_question, 1)}),
        );
    }
    running.check_alive()?;
    let failed: i64 =
        lab.database.client.query_one("SELECT count(*) FROM knowledge_documents WHERE status <> 'ready'", &[]).await?.try_get(0)?;
    let report = Report {
        scenario: "knowledge",
        passed: failed == 0,
        settings: json!({"documents": knowledge.documents, "chars": knowledge.chars, "questions": knowledge.questions}),
        results: json!({
            "chunks": chunks, "not_ready": failed, "ingest_seconds": rounded(seconds, 1),
            "documents_per_s": rounded(float_of(knowledge.documents) / seconds, 1), "worker_rss_mb_by_tenths": memory,
            "worker_rss_mb_with_index": rounded(with_index, 1), "first_question_ms": rounded(first, 1), "retrieval": rounds, "pdf_36_pages_s": pdf,
        }),
    };
    report.publish(&lab).await?;
    Ok(report)
}

fn share(part: u64, of: u64) -> f64 {
    rounded(float(part) / float(of.max(1)), 4)
}

/// Uploads and ingests all documents; the worker's memory after each tenth, and how long it took.
async fn fill(lab: &Lab, running: &Running, office: &Office, knowledge: &Knowledge, chance: &mut Chance) -> Result<(Vec<f64>, f64)> {
    let mut memory = Vec::new();
    let began = Instant::now();
    let mut uploaded = 0;
    while uploaded < knowledge.documents {
        // A connection that is idle while documents are ingested would be closed.
        let (mut ids, mut http) = (Vec::new(), HttpConnection::open(office.address)?);
        for _ in 0..AT_ONCE.min(knowledge.documents - uploaded) {
            ids.push(upload(&mut http, office, "text.txt", text(knowledge.chars, chance).as_bytes())?);
        }
        uploaded += ids.len();
        ingest(&mut http, office, &ids)?;
        until_ingested(lab).await?;
        while memory.len() < uploaded * 10 / knowledge.documents.max(1) {
            memory.push(rounded(processes::rss_of(running.worker.pid())?, 1));
        }
        eprintln!("{uploaded} documents are ingested");
    }
    Ok((memory, began.elapsed().as_secs_f64()))
}

/// From the call to the end of the ingestion.
async fn pdf_seconds(lab: &Lab, office: &Office) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let mut http = HttpConnection::open(office.address)?;
        let id = upload(&mut http, office, "handbook.pdf", &pdf(PDF_PAGES))?;
        let began = Instant::now();
        ingest(&mut http, office, &[id])?;
        until_ingested(lab).await?;
        times.push(began.elapsed().as_secs_f64());
    }
    Ok(rounded(median(&mut times).unwrap_or_default(), 3))
}

fn upload(http: &mut HttpConnection, office: &Office, name: &str, bytes: &[u8]) -> Result<String> {
    let mut form = format!("--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n").into_bytes();
    form.extend_from_slice(bytes);
    form.extend_from_slice(b"\r\n--x--\r\n");
    let Office { address, token, .. } = office;
    let mut request = format!(
        "POST /api/admin/knowledge/upload HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: {}\r\n\r\n",
        form.len()
    )
    .into_bytes();
    request.extend(form);
    let (status, answer) = http.ask(&request)?;
    ensure!(status == 201, "an upload was answered {status}: {}", String::from_utf8_lossy(&answer));
    let answer: Value = serde_json::from_slice(&answer)?;
    answer.get("id").and_then(Value::as_str).map(str::to_owned).context("an upload has no id")
}

fn ingest(http: &mut HttpConnection, office: &Office, ids: &[String]) -> Result<()> {
    let request =
        super::sends::post(office.address, "/api/admin/knowledge/ingest", &office.token, &json!({"document_ids": ids}).to_string());
    let (status, answer) = http.ask(&request)?;
    ensure!(status == 202, "ingest was answered {status}: {}", String::from_utf8_lossy(&answer));
    Ok(())
}

async fn until_ingested(lab: &Lab) -> Result<()> {
    let began = Instant::now();
    loop {
        let open: i64 = lab
            .database
            .client
            .query_one("SELECT count(*) FROM knowledge_documents WHERE status IN ('queued', 'ingesting')", &[])
            .await?
            .try_get(0)?;
        if open == 0 {
            return Ok(());
        }
        ensure!(began.elapsed() < PATIENCE, "{open} documents are not ingested");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Asks something in a session of its own; how many milliseconds it took.
fn ask(office: &Office, chance: &mut Chance) -> Result<f64> {
    let mut http = HttpConnection::open(office.address)?;
    let question = text(60, chance);
    let path = format!("/api/{}/chat", office.tenant);
    let began = Instant::now();
    let (status, answer) =
        http.ask(&super::sends::post(office.address, &path, &office.token, &json!({"message": question}).to_string()))?;
    ensure!(status == 200, "a question was answered {status}: {}", String::from_utf8_lossy(&answer));
    Ok(began.elapsed().as_secs_f64() * 1e3)
}

/// Sentences of about ten words, to about so many characters.
fn text(chars: usize, chance: &mut Chance) -> String {
    let mut text = String::with_capacity(chars + 16);
    for number in 1.. {
        // The smaller its number, the more often a word is said.
        let word = chance.below(WORDS).min(chance.below(WORDS)).min(chance.below(WORDS));
        // Writing to a string cannot fail.
        write!(text, "{}", name(word)).unwrap_or_default();
        if text.len() >= chars {
            break;
        }
        text.push_str(if number % 10 == 0 { ". " } else { " " });
    }
    text
}

/// A word of consonants and vowels for each number.
fn name(mut number: usize) -> String {
    let mut word = String::new();
    loop {
        let (consonant, vowel) = (number % 18, number / 18 % 5);
        word.extend("bcdfghjklmnprstvwz".chars().nth(consonant));
        word.extend("aeiou".chars().nth(vowel));
        number /= 90;
        if number == 0 {
            return word;
        }
    }
}

/// A PDF of pages full of text (<https://www.iso.org/standard/75839.html>).
fn pdf(pages: usize) -> Vec<u8> {
    let kids = (0..pages).map(|page| format!("{} 0 R", 4 + page * 2)).collect::<Vec<_>>().join(" ");
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        format!("<< /Type /Pages /Kids [{kids}] /Count {pages} >>"),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
    ];
    for page in 0..pages {
        let line =
            |line: usize| format!("(Page {page}, line {line}: we open at nine and close at six, refunds take fourteen days.) Tj T* ");
        let lines = (0..45).map(line).collect::<Vec<_>>().concat();
        let content = format!("BT /F1 11 Tf 14 TL 72 740 Td {lines}ET");
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> /Contents {} 0 R >>",
            5 + page * 2
        ));
        objects.push(format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()));
    }
    let (mut file, mut table) = ("%PDF-1.4\n".to_owned(), String::new());
    for (number, object) in (1..).zip(&objects) {
        // Writing to a string cannot fail.
        writeln!(table, "{:010} 00000 n ", file.len()).unwrap_or_default();
        write!(file, "{number} 0 obj\n{object}\nendobj\n").unwrap_or_default();
    }
    let (start, size) = (file.len(), objects.len() + 1);
    write!(file, "xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n")
        .unwrap_or_default();
    file.into_bytes()
}

/// What the worker has counted of its retrievals.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    count: u64,
    seconds: f64,
    within_25: u64,
    within_50: u64,
}

impl Found {
    fn read(running: &Running) -> Result<Self> {
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", running.worker_metrics);
        let (status, text) = HttpConnection::open(running.worker_metrics)?.ask(request.as_bytes())?;
        ensure!(status == 200, "the worker's metrics were answered {status}");
        let text = String::from_utf8(text)?;
        let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok()).unwrap_or(0.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts")]
        let count = |name: &str| value(name) as u64;
        Ok(Self {
            count: count("switchboard_retrieval_seconds_count"),
            seconds: value("switchboard_retrieval_seconds_sum"),
            within_25: count("switchboard_retrieval_seconds_bucket{le=\"0.025\"}"),
            within_50: count("switchboard_retrieval_seconds_bucket{le=\"0.05\"}"),
        })
    }

    fn since(self, before: &Self) -> Self {
        Self {
            count: self.count - before.count,
            seconds: self.seconds - before.seconds,
            within_25: self.within_25 - before.within_25,
            within_50: self.within_50 - before.within_50,
        }
    }
}
