//! One keep-alive connection with at most one request in flight.

use super::response::{self, Response};
use super::schedule::Ticket;
use anyhow::{Context, Result};
use rustix::event::epoll;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

const CONNECT_WITHIN: Duration = Duration::from_secs(5);

pub(super) struct Connection {
    number: usize,
    stream: Option<TcpStream>,
    input: Vec<u8>,
    filled: usize,
    written: usize,
    /// The request in flight.
    pub(super) ticket: Option<Ticket>,
    /// Where requests made on demand are made.
    pub(super) scratch: Vec<u8>,
}

impl Connection {
    pub(super) fn new(number: usize) -> Self {
        Self { number, stream: None, input: vec![0; 8 * 1024], filled: 0, written: 0, ticket: None, scratch: Vec::new() }
    }

    /// Connects if that is necessary, and registers with `poller` under this connection's number.
    pub(super) fn open(&mut self, address: SocketAddr, poller: &OwnedFd) -> Result<()> {
        if self.stream.is_none() {
            let stream = TcpStream::connect_timeout(&address, CONNECT_WITHIN).with_context(|| format!("connecting to {address}"))?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            // Edge-triggered for both directions, so it never has to be registered again.
            let events = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::RDHUP | epoll::EventFlags::ET;
            epoll::add(poller, &stream, epoll::EventData::new_u64(self.number as u64), events)?;
            self.stream = Some(stream);
        }
        Ok(())
    }

    /// Closing also takes it out of the poller.
    pub(super) fn close(&mut self) {
        self.stream = None;
        self.filled = 0;
    }

    pub(super) fn begin(&mut self, ticket: Ticket) {
        self.ticket = Some(ticket);
        self.written = 0;
        self.filled = 0;
    }

    pub(super) fn wants_to_write(&self, request_length: usize) -> bool {
        self.ticket.is_some() && self.written < request_length
    }

    /// Writes what the socket takes of `request`; the rest follows when the poller reports room.
    pub(super) fn write(&mut self, request: &[u8]) -> Result<()> {
        let stream = self.stream.as_mut().context("not connected")?;
        while let Some(rest) = request.get(self.written..).filter(|rest| !rest.is_empty()) {
            match stream.write(rest) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("writing a request"),
            }
        }
        Ok(())
    }

    /// The response, when all of it has come.
    pub(super) fn read(&mut self) -> Result<Option<Response>> {
        let Self { stream: Some(stream), input, filled, .. } = self else {
            return Ok(None);
        };
        loop {
            if *filled == input.len() {
                input.resize(input.len() * 2, 0);
            }
            let room = input.get_mut(*filled..).unwrap_or_default();
            let (count, asked) = match stream.read(room) {
                Ok(0) => anyhow::bail!("the server closed the connection"),
                Ok(count) => (count, room.len()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).context("reading a response"),
            };
            *filled += count;
            let response = response::parse(input.get(..*filled).unwrap_or_default());
            // A short read has emptied the socket: more bytes make a new event.
            if response.is_some() || count < asked {
                return Ok(response);
            }
        }
    }

    pub(super) fn received(&self) -> &[u8] {
        self.input.get(..self.filled).unwrap_or_default()
    }
}
