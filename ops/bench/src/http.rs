//! A blocking HTTP/1.1 client for one request at a time: the scenarios that look at single webhooks, and readiness.

use crate::load::response;
use anyhow::{Context, Result};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const ANSWER_WITHIN: Duration = Duration::from_secs(30);

pub struct HttpConnection {
    stream: TcpStream,
    input: Vec<u8>,
}

impl HttpConnection {
    pub fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5)).with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        Ok(Self { stream, input: Vec::with_capacity(4096) })
    }

    /// Sends `request` and returns the status of the answer.
    pub fn send(&mut self, request: &[u8]) -> Result<u16> {
        Ok(self.ask(request)?.0)
    }

    /// Sends `request` and returns the status and the body of the answer.
    pub fn ask(&mut self, request: &[u8]) -> Result<(u16, Vec<u8>)> {
        self.stream.write_all(request).context("writing a request")?;
        self.input.clear();
        let mut chunk = [0; 4096];
        loop {
            let count = self.stream.read(&mut chunk).context("reading a response")?;
            anyhow::ensure!(count > 0, "the server closed the connection");
            self.input.extend_from_slice(chunk.get(..count).unwrap_or_default());
            if let Some(response) = response::parse(&self.input) {
                let body = self.input.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |end| end + 4);
                return Ok((response.status, self.input.split_off(body)));
            }
        }
    }
}

/// The status of `GET path`, on a connection of its own.
pub fn get(address: SocketAddr, path: &str) -> Result<u16> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    HttpConnection::open(address)?.send(request.as_bytes())
}
