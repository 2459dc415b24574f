//! Reading a request's body: never more than the limit in memory, never longer than the time limit.

use bytes::{Bytes, BytesMut};
use salvo::http::{ReqBody, body::Body};
use std::{future::poll_fn, io, pin::Pin, time::Duration};

const READ_LIMIT: Duration = Duration::from_secs(30);
/// Room made before the first byte, however long the body claims to be.
const FIRST_ROOM: usize = 64 * 1024;
/// What is read, and thrown away, of a body that is too large, so that a client that sends all of it before it listens still
/// hears why it was refused.
const DISCARDED_BYTES: usize = 32 * 1024 * 1024;
const DISCARD_LIMIT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) enum BodyError {
    TooLarge,
    TooSlow,
    /// The client went away, or broke the protocol.
    Broken(io::Error),
}

/// Reads the whole body, of at most `most` bytes. `may_discard` is false for a client that waits for `100 Continue` and so has sent
/// nothing yet.
pub(crate) async fn read(mut body: ReqBody, most: usize, may_discard: bool) -> Result<Bytes, BodyError> {
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let kept = if declared > most {
        Err(BodyError::TooLarge)
    } else {
        tokio::time::timeout(READ_LIMIT, collect(&mut body, declared, most)).await.unwrap_or(Err(BodyError::TooSlow))
    };
    if matches!(kept, Err(BodyError::TooLarge)) && may_discard {
        // Whether all of it could be thrown away in time makes no difference to the answer.
        tokio::time::timeout(DISCARD_LIMIT, discard(&mut body)).await.ok();
    }
    kept
}

/// Copies the frames out of the connection's read buffer, even a single one: a slice would keep that buffer, which may be
/// hundreds of times larger, as long as the webhook waits.
async fn collect(body: &mut ReqBody, declared: usize, most: usize) -> Result<Bytes, BodyError> {
    let mut kept = BytesMut::with_capacity(declared.min(FIRST_ROOM));
    while let Some(data) = next(body).await.map_err(BodyError::Broken)? {
        if kept.len() + data.len() > most {
            return Err(BodyError::TooLarge);
        }
        kept.extend_from_slice(&data);
    }
    Ok(kept.freeze())
}

async fn discard(body: &mut ReqBody) {
    let mut left = DISCARDED_BYTES;
    while let Ok(Some(data)) = next(body).await {
        match left.checked_sub(data.len()) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

/// The next piece of data; empty for a frame of trailers.
async fn next(body: &mut ReqBody) -> io::Result<Option<Bytes>> {
    let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await.transpose()?;
    Ok(frame.map(|frame| frame.into_data().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_of_exactly_the_limit_is_read_and_one_byte_more_is_not() {
        let largest = read(ReqBody::from(vec![7; 1_000]), 1_000, true).await.unwrap();
        assert_eq!(largest.len(), 1_000);
        let larger = read(ReqBody::from(vec![7; 1_001]), 1_000, true).await;
        assert!(matches!(larger, Err(BodyError::TooLarge)));
    }

    #[tokio::test]
    async fn no_body_is_an_empty_one() {
        assert!(read(ReqBody::None, 1_000, true).await.unwrap().is_empty());
    }
}
