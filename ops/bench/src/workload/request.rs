//! Whole HTTP/1.1 requests: headers as Meta sends them, and the signature over the raw body.

use super::{Kind, Workload};
use anyhow::{Context, Result};
use aws_lc_rs::hmac;
use std::net::SocketAddr;

/// Where webhooks go and what signs them.
#[derive(Clone)]
pub struct Target {
    pub address: SocketAddr,
    pub path: String,
    key: hmac::Key,
}

impl Target {
    pub fn new(address: SocketAddr, path: &str, app_secret: &str) -> Self {
        Self { address, path: path.to_owned(), key: hmac::Key::new(hmac::HMAC_SHA256, app_secret.as_bytes()) }
    }

    /// Appends the request that carries `body`.
    pub fn write_request(&self, body: &[u8], out: &mut Vec<u8>) {
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nAccept: */*\r\nUser-Agent: facebookexternalua\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nX-Hub-Signature-256: sha256={}\r\n\r\n",
            self.path,
            self.address,
            body.len(),
            hex::encode(hmac::sign(&self.key, body))
        );
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(body);
    }
}

/// The requests of a run, by number.
pub trait Requests {
    fn count(&self) -> usize;

    /// The bytes of request `index`: always the same ones. `scratch` may be used to make them.
    fn bytes<'a>(&'a self, index: usize, scratch: &'a mut Vec<u8>) -> Result<&'a [u8]>;
}

/// Requests made before the clock starts, so that sending one costs the generator almost nothing.
pub struct MadeReady {
    bytes: Vec<u8>,
    spans: Vec<std::ops::Range<usize>>,
}

impl MadeReady {
    pub fn new(workload: &Workload, target: &Target) -> Result<Self> {
        let mut made = Self { bytes: Vec::new(), spans: Vec::with_capacity(workload.webhooks) };
        let mut body = Vec::new();
        for index in 0..workload.webhooks {
            if let Kind::Redelivery { of } = workload.kind(index) {
                made.spans.push(made.spans.get(of).cloned().context("a re-delivery comes before its original")?);
                continue;
            }
            body.clear();
            workload.write_body(index, &mut body)?;
            let start = made.bytes.len();
            target.write_request(&body, &mut made.bytes);
            made.spans.push(start..made.bytes.len());
        }
        Ok(made)
    }
}

impl Requests for MadeReady {
    fn count(&self) -> usize {
        self.spans.len()
    }

    fn bytes<'a>(&'a self, index: usize, _scratch: &'a mut Vec<u8>) -> Result<&'a [u8]> {
        let span = self.spans.get(index).cloned().with_context(|| format!("there is no request {index}"))?;
        self.bytes.get(span).context("a request lies outside of the prepared bytes")
    }
}

/// Requests made when they are sent: a few microseconds each, and no memory however long the run.
pub struct MadeOnDemand {
    pub workload: Workload,
    pub target: Target,
}

impl Requests for MadeOnDemand {
    fn count(&self) -> usize {
        self.workload.webhooks
    }

    fn bytes<'a>(&'a self, index: usize, scratch: &'a mut Vec<u8>) -> Result<&'a [u8]> {
        let mut body = Vec::with_capacity(1024);
        self.workload.write_body(index, &mut body)?;
        scratch.clear();
        self.target.write_request(&body, scratch);
        Ok(scratch)
    }
}
