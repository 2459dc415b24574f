//! The load engine: one thread, one epoll set, a fixed number of keep-alive connections. A request costs one write, one
//! read and a share of one wait, so the generator leaves the machine to the server it measures.

mod connection;
pub mod response;
mod schedule;

use crate::numbers::{microseconds, rounded};
use crate::workload::Requests;
use anyhow::{Context, Result};
use connection::Connection;
use hdrhistogram::Histogram;
use response::Response;
use rustix::event::{Timespec, epoll};
use schedule::{Schedule, Ticket, Turn};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub address: SocketAddr,
    pub connections: usize,
    /// Requests a second (open loop); `None`: as fast as answers come (closed loop).
    pub rate: Option<f64>,
    /// How often a request that was refused or cut off is sent before it counts as failed.
    pub attempts: u32,
    /// The run ends when the server is silent for so long.
    pub patience: Duration,
}

pub struct Outcome {
    /// Answered with 2xx.
    pub accepted: usize,
    /// Answers other than 2xx and broken connections, also when a later attempt was accepted.
    pub refused: usize,
    pub broken: usize,
    /// Requests that no attempt got accepted.
    pub failed: usize,
    pub started: Instant,
    pub elapsed: Duration,
    /// Microseconds from when a request was due to its 2xx.
    pub latency: Histogram<u64>,
    pub first_problem: Option<String>,
}

/// Sends every request of `requests` and waits for the answers. Blocks the thread it runs on.
pub fn run(plan: &Plan, requests: &dyn Requests) -> Result<Outcome> {
    let mut engine = Engine::new(plan, requests)?;
    for number in 0..plan.connections {
        engine.connections.get_mut(number).context("a connection is missing")?.open(plan.address, &engine.poller)?;
    }
    engine.outcome.started = Instant::now();
    engine.drive()?;
    engine.outcome.elapsed = engine.now();
    Ok(engine.outcome)
}

/// An empty histogram of microseconds up to ten minutes.
pub fn latencies() -> Result<Histogram<u64>> {
    Histogram::new_with_bounds(1, 600_000_000, 3).context("making a histogram")
}

/// The usual quantiles of a histogram of microseconds, in milliseconds.
pub fn quantiles(latency: &Histogram<u64>) -> serde_json::Value {
    let ms = |micros: u64| rounded(crate::numbers::float(micros) / 1_000.0, 3);
    let at = |quantile| ms(latency.value_at_quantile(quantile));
    serde_json::json!({ "p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "p999": at(0.999), "max": ms(latency.max()), "count": latency.len() })
}

struct Engine<'a> {
    plan: &'a Plan,
    requests: &'a dyn Requests,
    poller: OwnedFd,
    connections: Vec<Connection>,
    idle: Vec<usize>,
    schedule: Schedule,
    settled: usize,
    outcome: Outcome,
}

impl<'a> Engine<'a> {
    fn new(plan: &'a Plan, requests: &'a dyn Requests) -> Result<Self> {
        let outcome = Outcome {
            accepted: 0,
            refused: 0,
            broken: 0,
            failed: 0,
            started: Instant::now(),
            elapsed: Duration::ZERO,
            latency: latencies()?,
            first_problem: None,
        };
        Ok(Self {
            plan,
            requests,
            poller: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            connections: (0..plan.connections).map(Connection::new).collect(),
            idle: (0..plan.connections).rev().collect(),
            schedule: Schedule::new(requests.count(), plan.rate, plan.attempts),
            settled: 0,
            outcome,
        })
    }

    fn drive(&mut self) -> Result<()> {
        let mut events: Vec<epoll::Event> = Vec::with_capacity(256);
        let mut heard = self.now();
        while self.settled < self.requests.count() {
            let wait = self.send_due()?.min(Duration::from_millis(500));
            events.clear();
            let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(wait.subsec_nanos()) };
            match epoll::wait(&self.poller, rustix::buffer::spare_capacity(&mut events), Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).context("waiting for answers"),
            }
            if !events.is_empty() || self.idle.len() == self.connections.len() {
                heard = self.now();
            } else if self.now().saturating_sub(heard) > self.plan.patience {
                self.outcome.failed += self.requests.count() - self.settled;
                self.outcome.first_problem.get_or_insert_with(|| format!("no answer for {:?}", self.plan.patience));
                return Ok(());
            }
            for event in &events {
                self.handle(usize::try_from(event.data.u64())?)?;
            }
        }
        Ok(())
    }

    /// Gives due requests to idle connections; returns how long nothing else will be due.
    fn send_due(&mut self) -> Result<Duration> {
        while let Some(number) = self.idle.last().copied() {
            let ticket = match self.schedule.turn(self.now()) {
                Turn::Send(ticket) => ticket,
                Turn::Wait(wait) => return Ok(wait),
                Turn::Nothing => break,
            };
            self.idle.pop();
            let connection = self.connections.get_mut(number).context("an idle connection is missing")?;
            connection.begin(ticket);
            if let Err(error) = connection.open(self.plan.address, &self.poller).and_then(|()| self.write(number)) {
                self.cut_off(number, &error)?;
            }
        }
        Ok(Duration::MAX)
    }

    fn handle(&mut self, number: usize) -> Result<()> {
        let connection = self.connections.get_mut(number).context("an event of no connection")?;
        let progress = match connection.read() {
            Ok(None) => self.write(number).map(|()| None),
            other => other,
        };
        match progress {
            Ok(None) => Ok(()),
            Ok(Some(response)) => self.answered(number, response),
            Err(error) => self.cut_off(number, &error),
        }
    }

    /// Writes what is left of the request in flight, if anything is.
    fn write(&mut self, number: usize) -> Result<()> {
        let connection = self.connections.get_mut(number).context("no such connection")?;
        let Some(ticket) = connection.ticket else { return Ok(()) };
        let mut scratch = std::mem::take(&mut connection.scratch);
        let request = self.requests.bytes(ticket.index, &mut scratch)?;
        let written = if connection.wants_to_write(request.len()) { connection.write(request) } else { Ok(()) };
        connection.scratch = scratch;
        written
    }

    fn answered(&mut self, number: usize, response: Response) -> Result<()> {
        let now = self.now();
        let connection = self.connections.get_mut(number).context("no such connection")?;
        let ticket = connection.ticket.take().context("an answer that nobody asked for")?;
        let accepted = (200..300).contains(&response.status);
        if !accepted && self.outcome.first_problem.is_none() {
            self.outcome.first_problem = Some(String::from_utf8_lossy(connection.received()).chars().take(300).collect());
        }
        if response.closes {
            connection.close();
        }
        self.idle.push(number);
        if accepted {
            self.outcome.accepted += 1;
            self.settled += 1;
            self.outcome.latency.saturating_record(microseconds(now.saturating_sub(ticket.due)));
        } else {
            self.outcome.refused += 1;
            self.retry(ticket, now);
        }
        Ok(())
    }

    fn cut_off(&mut self, number: usize, error: &anyhow::Error) -> Result<()> {
        let now = self.now();
        let connection = self.connections.get_mut(number).context("no such connection")?;
        connection.close();
        // An idle keep-alive connection may be closed by the server at any time; that is no failure.
        if let Some(ticket) = connection.ticket.take() {
            self.outcome.broken += 1;
            self.outcome.first_problem.get_or_insert_with(|| format!("{error:#}"));
            self.idle.push(number);
            self.retry(ticket, now);
        }
        Ok(())
    }

    fn retry(&mut self, ticket: Ticket, now: Duration) {
        if !self.schedule.retry(ticket, now) {
            self.outcome.failed += 1;
            self.settled += 1;
        }
    }

    fn now(&self) -> Duration {
        self.outcome.started.elapsed()
    }
}
