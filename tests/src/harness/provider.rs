//! A provider that answers as the test says, over real HTTP, and keeps what it received.

use serde_json::Value;
use std::sync::{Arc, Mutex};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    /// Method and target.
    pub(crate) line: String,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Instead of a status: the connection is cut without an answer.
pub(crate) const CUT: u16 = 0;

/// The test's answer: status (or [`CUT`]) and JSON body; `{"$type", "$file"}`: a file of this type; with `"$rest"` its beginning comes at once, and the rest
/// when the provider may answer.
type Script = dyn Fn(&Received) -> (u16, Value) + Send + Sync;

/// Listens until the test ends.
pub(crate) struct Provider {
    pub(crate) url: String,
    received: Arc<Mutex<Vec<Received>>>,
    script: Arc<Mutex<Box<Script>>>,
    answering: watch::Sender<bool>,
}

impl Provider {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let provider = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            received: Arc::default(),
            script: Arc::new(Mutex::new(Box::new(|_| (500, Value::Null)))),
            answering: watch::Sender::new(true),
        };
        let (received, script, answering) = (provider.received.clone(), provider.script.clone(), provider.answering.clone());
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, received.clone(), script.clone(), answering.subscribe()));
            }
        });
        provider
    }

    /// From now on it answers so.
    pub(crate) fn script(&self, script: impl Fn(&Received) -> (u16, Value) + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    /// Takes what comes, but answers nothing until it is told to.
    pub(crate) fn answer(&self, answering: bool) {
        self.answering.send_replace(answering);
    }

    /// What it received, in order.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

/// One request for each connection.
async fn serve(
    mut connection: TcpStream,
    received: Arc<Mutex<Vec<Received>>>,
    script: Arc<Mutex<Box<Script>>>,
    mut answering: watch::Receiver<bool>,
) {
    let mut bytes = Vec::new();
    let request = loop {
        let mut buffer = [0; 4_096];
        let read = connection.read(&mut buffer).await.unwrap_or(0);
        bytes.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0);
            if body.len() >= length {
                let line = head.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned();
                break Received { line, head: head.to_owned(), body: body.to_owned() };
            }
        }
        if read == 0 {
            return;
        }
    };
    let (status, body) = (script.lock().unwrap())(&request);
    received.lock().unwrap().push(request);
    if let (Some(mime_type), Some(beginning), Some(rest)) = (body["$type"].as_str(), body["$file"].as_str(), body["$rest"].as_str()) {
        let head = format!("HTTP/1.1 {status} X\r\ncontent-type: {mime_type}\r\nconnection: close\r\n\r\n{beginning}");
        connection.write_all(head.as_bytes()).await.ok();
        if answering.wait_for(|answering| *answering).await.is_ok() {
            connection.write_all(rest.as_bytes()).await.ok();
        }
        return;
    }
    if answering.wait_for(|answering| *answering).await.is_err() || status == CUT {
        return;
    }
    let (mime_type, body) = match (body["$type"].as_str(), body["$file"].as_str()) {
        (Some(mime_type), Some(file)) => (mime_type.to_owned(), file.to_owned()),
        _ => ("application/json".to_owned(), body.to_string()),
    };
    let answer =
        format!("HTTP/1.1 {status} X\r\ncontent-type: {mime_type}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    connection.write_all(answer.as_bytes()).await.ok();
}
