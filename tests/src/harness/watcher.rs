//! A client of Socket.IO or of the WebSocket, as far as a frontend's library is one
//! (<https://socket.io/docs/v4/engine-io-protocol/>, <https://socket.io/docs/v4/socket-io-protocol/>).

use super::PATIENCE;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::{net::TcpStream, sync::mpsc, task::JoinHandle};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A connection that keeps what it hears.
pub(crate) struct Watcher {
    heard: Arc<Mutex<Vec<(String, Value)>>>,
    say: mpsc::UnboundedSender<String>,
    plain: bool,
    task: JoinHandle<()>,
}

impl Watcher {
    /// Connects by Socket.IO with this `auth`. `Err`: what the server refuses it with.
    pub(crate) async fn connect(port: u16, auth: Value) -> Result<Self, String> {
        let (mut stream, _) =
            connect_async(format!("ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket")).await.expect("it upgrades");
        let open = text(stream.next().await);
        assert!(open.starts_with('0'), "{open}");
        stream.send(Message::text(format!("40{auth}"))).await.unwrap();
        let mut answer = text(stream.next().await);
        while answer == "2" {
            stream.send(Message::text("3")).await.unwrap();
            answer = text(stream.next().await);
        }
        if let Some(error) = answer.strip_prefix("44") {
            return Err(error.to_owned());
        }
        assert!(answer.starts_with("40"), "{answer}");
        let watcher = Self::keep(stream, false);
        watcher.until_heard("ready", |_| true).await;
        Ok(watcher)
    }

    /// Connects to the plain WebSocket. `Err`: the status.
    pub(crate) async fn open(port: u16, tenant: &str, query: &str) -> Result<Self, u16> {
        match connect_async(format!("ws://127.0.0.1:{port}/api/{tenant}/ws?{query}")).await {
            Ok((stream, _)) => {
                let watcher = Self::keep(stream, true);
                watcher.until_heard("ready", |_| true).await;
                Ok(watcher)
            }
            Err(tokio_tungstenite::tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    fn keep(mut stream: Stream, plain: bool) -> Self {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (say, mut said) = mpsc::unbounded_channel::<String>();
        let kept = heard.clone();
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    message = stream.next() => {
                        let Some(Ok(message)) = message else { break };
                        let Ok(text) = message.into_text() else { continue };
                        if plain {
                            let frame: Value = serde_json::from_str(&text).unwrap_or_default();
                            kept.lock().unwrap().push((frame["event"].as_str().unwrap_or_default().to_owned(), frame["data"].clone()));
                        } else if text.as_str() == "41" {
                            break;
                        } else if text.as_str() == "2" {
                            stream.send(Message::text("3")).await.ok();
                        } else if let Some(event) = text.strip_prefix("42") {
                            let event: Value = serde_json::from_str(event).unwrap();
                            kept.lock().unwrap().push((event[0].as_str().unwrap().to_owned(), event[1].clone()));
                        } else if let Some(ack) = text.strip_prefix("43") {
                            let start = ack.find('[').unwrap();
                            let answer: Value = serde_json::from_str(&ack[start..]).unwrap();
                            kept.lock().unwrap().push(("ack".to_owned(), answer[0].clone()));
                        }
                    }
                    text = said.recv() => match text {
                        Some(text) => stream.send(Message::text(text)).await.unwrap(),
                        None => break,
                    },
                }
            }
            kept.lock().unwrap().push(("closed".to_owned(), Value::Null));
        });
        Self { heard, say, plain, task }
    }

    /// Sends an event, and waits for its acknowledgement where the protocol has one.
    pub(crate) async fn ask(&self, event: &str, data: Value) -> Value {
        let before = self.heard().len();
        let (text, answers): (_, &[&str]) = if self.plain {
            (json!({"event": event, "data": data}).to_string(), &["ok", "join-error", "error"])
        } else {
            (format!("421{}", json!([event, data])), &["ack"])
        };
        self.say.send(text).unwrap();
        let found = || self.heard().into_iter().skip(before).find(|(event, _)| answers.contains(&event.as_str()));
        super::until(&format!("{event} is answered"), async || found().is_some()).await;
        found().unwrap().1
    }

    /// Sends an event that has no answer.
    pub(crate) fn tell(&self, event: &str, data: &Value) {
        let text = if self.plain { json!({"event": event, "data": data}).to_string() } else { format!("42{}", json!([event, data])) };
        self.say.send(text).unwrap();
    }

    pub(crate) fn heard(&self) -> Vec<(String, Value)> {
        self.heard.lock().unwrap().clone()
    }

    /// What was heard of one event.
    pub(crate) fn all(&self, event: &str) -> Vec<Value> {
        self.heard().into_iter().filter(|(heard, _)| heard == event).map(|(_, data)| data).collect()
    }

    /// The first event of this name that fits, when it has come.
    pub(crate) async fn until_heard(&self, event: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let started = std::time::Instant::now();
        loop {
            if let Some(found) = self.all(event).into_iter().find(|data| fits(data)) {
                return found;
            }
            assert!(started.elapsed() < PATIENCE, "{event} did not come: {:#?}", self.heard());
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    /// The cursor of what was heard last.
    pub(crate) fn cursor(&self) -> String {
        self.heard()
            .iter()
            .rev()
            .find_map(|(_, data)| data["cursor"].as_str().map(str::to_owned))
            .expect("something with a cursor was heard")
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn text(message: Option<Result<Message, tokio_tungstenite::tungstenite::Error>>) -> String {
    message.expect("the server says something").unwrap().into_text().unwrap().to_string()
}
