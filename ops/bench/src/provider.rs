//! A provider on loopback that accepts every message after a while, as WhatsApp's Cloud API answers
//! (<https://developers.facebook.com/docs/whatsapp/cloud-api/reference/messages>), and notes what came twice or out of order.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What has come so far.
#[derive(Debug, Default)]
pub struct Came {
    pub messages: usize,
    pub twice: usize,
    /// Messages whose text, a number, is not the next one of their customer.
    pub out_of_order: usize,
    /// When each text, a number, came; not those of the slow end.
    pub at: HashMap<u64, Instant>,
    ids: HashSet<String>,
    next: HashMap<String, u64>,
}

/// Answers until its local set ends.
pub struct Provider {
    pub address: SocketAddr,
    pub came: Rc<RefCell<Came>>,
}

impl Provider {
    /// `after`: what a call takes; `slow`: the one of our ends with which it takes longer.
    pub async fn start(after: Duration, slow: Option<(&'static str, Duration)>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, came) = (listener.local_addr()?, Rc::<RefCell<Came>>::default());
        let noted = came.clone();
        tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::task::spawn_local(serve(stream, noted.clone(), after, slow));
            }
        });
        Ok(Self { address, came })
    }
}

async fn serve(mut stream: TcpStream, came: Rc<RefCell<Came>>, after: Duration, slow: Option<(&str, Duration)>) -> Result<()> {
    stream.set_nodelay(true)?;
    let (mut input, mut chunk) = (Vec::new(), [0; 8192]);
    loop {
        let Some((end, length)) = head(&input) else {
            match stream.read(&mut chunk).await? {
                0 => return Ok(()),
                count => input.extend_from_slice(chunk.get(..count).unwrap_or_default()),
            }
            continue;
        };
        while input.len() < end + length {
            let count = stream.read(&mut chunk).await?;
            anyhow::ensure!(count > 0, "a request was cut off");
            input.extend_from_slice(chunk.get(..count).unwrap_or_default());
        }
        let body: Value = serde_json::from_slice(input.get(end..end + length).unwrap_or_default())?;
        let line = input.split(|byte| *byte == b'\r').next().map(String::from_utf8_lossy).unwrap_or_default();
        let delay = slow.filter(|(number, _)| line.contains(number)).map(|(_, delay)| delay);
        input.drain(..end + length);
        let id = note(&mut came.borrow_mut(), &body, delay.is_some())?;
        tokio::time::sleep(delay.unwrap_or(after)).await;
        let answer = json!({"messaging_product": "whatsapp", "messages": [{"id": format!("wamid.{id}")}]}).to_string();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", answer.len());
        stream.write_all((head + &answer).as_bytes()).await?;
    }
}

/// Where the body begins, and how long it is.
pub(crate) fn head(input: &[u8]) -> Option<(usize, usize)> {
    let end = input.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(input.get(..end)?).ok()?.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok())?;
    Some((end + 4, length))
}

fn note(came: &mut Came, body: &Value, is_slow: bool) -> Result<String> {
    let text = |place: &str| body.pointer(place).and_then(Value::as_str).with_context(|| format!("{place} is missing"));
    let (id, to, number) = (text("/biz_opaque_callback_data")?.to_owned(), text("/to")?.to_owned(), text("/text/body")?.parse::<u64>()?);
    came.messages += 1;
    if !is_slow {
        came.at.insert(number, Instant::now());
    }
    came.twice += usize::from(!came.ids.insert(id.clone()));
    let next = came.next.entry(to).or_default();
    came.out_of_order += usize::from(number != *next);
    *next = number + 1;
    Ok(id)
}
