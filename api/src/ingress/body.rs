//! Reading a webhook's body: never more than the limit in memory, never longer than the time limit.

use bytes::{Bytes, BytesMut};
use salvo::http::{HeaderMap, ReqBody, body::Body, header::CONTENT_LENGTH};
use std::{future::poll_fn, io, pin::Pin, time::Duration};

/// The largest body that is taken; Meta sends up to 3 MB
/// (<https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/overview>).
pub(super) const MAX_BODY_BYTES: usize = 3 * 1024 * 1024;
/// The same in KiB: what a body of unknown length is counted as while it is read.
pub(crate) const LARGEST_KIB: usize = MAX_BODY_BYTES / 1024;
const READ_LIMIT: Duration = Duration::from_secs(30);
/// Room made before the first byte, however long the body claims to be.
const FIRST_ROOM: usize = 64 * 1024;
/// What is read, and thrown away, of a body that is too large, so that a client that sends all of it before it listens still
/// hears why it was refused.
const DISCARDED_BYTES: usize = 16 * 1024 * 1024;
const DISCARD_LIMIT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) enum BodyError {
    TooLarge,
    TooSlow,
    /// The client went away, or broke the protocol.
    Broken(io::Error),
}

/// Reads the whole body. `may_discard` is false for a client that waits for `100 Continue` and so has sent nothing yet.
pub(super) async fn read(mut body: ReqBody, may_discard: bool) -> Result<Bytes, BodyError> {
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let kept = if declared > MAX_BODY_BYTES {
        Err(BodyError::TooLarge)
    } else {
        tokio::time::timeout(READ_LIMIT, collect(&mut body, declared)).await.unwrap_or(Err(BodyError::TooSlow))
    };
    if matches!(kept, Err(BodyError::TooLarge)) && may_discard {
        // Whether all of it could be thrown away in time makes no difference to the answer.
        tokio::time::timeout(DISCARD_LIMIT, discard(&mut body)).await.ok();
    }
    kept
}

/// Copies the frames out of the connection's read buffer, even a single one: a slice would keep that buffer, which may be
/// hundreds of times larger, as long as the webhook waits.
async fn collect(body: &mut ReqBody, declared: usize) -> Result<Bytes, BodyError> {
    let mut kept = BytesMut::with_capacity(declared.min(FIRST_ROOM));
    while let Some(data) = next(body).await.map_err(BodyError::Broken)? {
        if kept.len() + data.len() > MAX_BODY_BYTES {
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

/// How much memory a request's body may take, in KiB: what it declares, at most the largest that is taken.
pub(super) fn reserved_kib(headers: &HeaderMap) -> u32 {
    let declared = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()).and_then(|length| length.parse::<usize>().ok());
    let kib = declared.map_or(LARGEST_KIB, |bytes| bytes.div_ceil(1024).clamp(1, LARGEST_KIB));
    u32::try_from(kib).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_of_exactly_the_limit_is_read_and_one_byte_more_is_not() {
        let largest = read(ReqBody::from(vec![7; MAX_BODY_BYTES]), true).await.unwrap();
        assert_eq!(largest.len(), MAX_BODY_BYTES);
        let larger = read(ReqBody::from(vec![7; MAX_BODY_BYTES + 1]), true).await;
        assert!(matches!(larger, Err(BodyError::TooLarge)));
    }

    #[tokio::test]
    async fn no_body_is_an_empty_one() {
        assert!(read(ReqBody::None, true).await.unwrap().is_empty());
    }
}
