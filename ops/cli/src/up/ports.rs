//! Free ports on loopback.

use crate::error::CliError;
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    net::{Ipv4Addr, TcpListener},
    path::Path,
};

/// Private instances live here: above what services use by habit, below what outgoing connections take (32768 on Linux).
const PRIVATE: std::ops::Range<u16> = 20_000..30_000;

/// True if a server could listen on `port` now, on loopback and on all addresses.
pub(super) fn is_free(port: u16) -> bool {
    [Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED].into_iter().all(|address| TcpListener::bind((address, port)).is_ok())
}

/// The port of a private instance: the remembered one if it is still free, else one from a place in the range that
/// depends on the home, so that two homes started at once do not race for the same.
pub(super) fn private(remembered: Option<u16>, home: &Path, name: &str) -> Result<u16, CliError> {
    if let Some(port) = remembered.filter(|port| is_free(*port)) {
        return Ok(port);
    }
    let mut hasher = DefaultHasher::new();
    (home, name).hash(&mut hasher);
    let span = PRIVATE.end - PRIVATE.start;
    let offset = u16::try_from(hasher.finish() % u64::from(span)).unwrap_or(0);
    (0..span)
        .map(|step| PRIVATE.start + u16::try_from((u32::from(offset) + u32::from(step)) % u32::from(span)).unwrap_or(0))
        .find(|port| is_free(*port))
        .ok_or(CliError::NoFreePort { from: PRIVATE.start })
}

/// The first free port from `from` on.
pub(super) fn from(from: u16) -> Result<u16, CliError> {
    (from..from.saturating_add(200)).find(|port| is_free(*port)).ok_or(CliError::NoFreePort { from })
}
