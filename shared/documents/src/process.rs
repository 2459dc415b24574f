//! Reading a file in a process of its own.

use crate::{Extracted, Format, Unreadable, read};
use std::{
    io::{Read, Write},
    process::Stdio,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Command,
    time::timeout,
};

/// The argument with which a program becomes such a process: its `main` calls [`serve_extraction`] then.
pub const EXTRACT: &str = "extract-document";

/// What the process may use. A PDF of 500 pages of text takes 20 MB and less than a second; HTML nested 300,000 times is given up when its seconds are
/// spent.
const MOST_MEMORY: u64 = 1_024 * 1_024 * 1_024;
const MOST_SECONDS: u64 = 60;
/// What it may say, which is JSON of at most [`crate::MOST_CHARS`].
const MOST_OUTPUT: u64 = 64 * 1_024 * 1_024;
/// How long it may take, waiting included.
const PATIENCE: Duration = Duration::from_mins(2);

/// Reads a file in a process of its own. `Err(io)`: the process could not be started, which says nothing about the file.
pub async fn extract(bytes: Vec<u8>) -> std::io::Result<Result<Extracted, Unreadable>> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg(EXTRACT)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (Some(mut stdin), Some(stdout)) = (stdin, stdout) else { return Err(std::io::Error::other("the process has no pipes")) };
    let talk = async {
        let feed = async move {
            // It may stop reading: what it said by then counts.
            stdin.write_all(&bytes).await.unwrap_or_default();
        };
        let (mut said, mut stdout) = (Vec::new(), stdout.take(MOST_OUTPUT));
        let (read, ()) = tokio::join!(stdout.read_to_end(&mut said), feed);
        read.map(|_| said)
    };
    let Ok(said) = timeout(PATIENCE, talk).await else { return Ok(Err(Unreadable::TooHard)) };
    // Whatever ended it, an answer that is not whole is none.
    Ok(serde_json::from_slice::<Result<Extracted, Unreadable>>(&said?).unwrap_or(Err(Unreadable::TooHard)))
}

/// What the process does: a file comes in, JSON goes out. Returns the exit code.
pub fn serve_extraction() -> u8 {
    // A limit that cannot be set is one that was lower already.
    for (limit, most) in [
        (rlimit::Resource::AS, MOST_MEMORY),
        (rlimit::Resource::CPU, MOST_SECONDS),
        (rlimit::Resource::FSIZE, 0),
        (rlimit::Resource::CORE, 0),
        (rlimit::Resource::NOFILE, 8),
    ] {
        if limit.set(most, most).is_err() {
            return 1;
        }
    }
    let mut bytes = Vec::new();
    if std::io::stdin().lock().read_to_end(&mut bytes).is_err() {
        return 1;
    }
    // Deep structures need a deep stack.
    let reading = std::thread::Builder::new().stack_size(64 * 1_024 * 1_024).spawn(move || {
        let format = Format::of(&bytes).ok_or(Unreadable::Unknown)?;
        read(format, &bytes)
    });
    // A library that panics has met a file that it does not understand.
    let read = reading.map(|thread| thread.join().unwrap_or_else(|_| Err(Unreadable::Damaged("it cannot be understood".to_owned()))));
    let Ok(read) = read else { return 1 };
    let Ok(said) = serde_json::to_vec(&read) else { return 1 };
    u8::from(std::io::stdout().lock().write_all(&said).is_err())
}
