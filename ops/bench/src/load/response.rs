//! Reads just enough of an HTTP/1.1 response to know its status and where it ends.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    /// The server closes the connection after this response.
    pub closes: bool,
}

/// `None` while the response in `bytes` is incomplete.
pub fn parse(bytes: &[u8]) -> Option<Response> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let (head, body) = (bytes.get(..end)?, bytes.get(end + 4..)?);
    let status = head.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()).and_then(|digits| digits.parse().ok()).unwrap_or(0);
    let complete = match header(head, b"content-length") {
        Some(length) => body.len() >= std::str::from_utf8(length).ok().and_then(|digits| digits.parse().ok()).unwrap_or(0),
        None => header(head, b"transfer-encoding").is_none() || body == b"0\r\n\r\n" || body.ends_with(b"\r\n0\r\n\r\n"),
    };
    let closes = header(head, b"connection").is_some_and(|value| value.eq_ignore_ascii_case(b"close"));
    complete.then_some(Response { status, closes })
}

fn header<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    head.split(|byte| *byte == b'\n').skip(1).find_map(|line| {
        let (found, rest) = line.split_at_checked(name.len())?;
        found.eq_ignore_ascii_case(name).then(|| rest.strip_prefix(b":"))?.map(<[u8]>::trim_ascii)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_ends_where_its_length_says() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        for cut in 0..whole.len() {
            assert_eq!(parse(&whole[..cut]), None);
        }
        assert_eq!(parse(whole), Some(Response { status: 200, closes: false }));
    }

    #[test]
    fn a_chunked_response_ends_with_the_empty_chunk() {
        let head = "HTTP/1.1 503 Service Unavailable\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";
        assert_eq!(parse(format!("{head}2\r\nno\r\n").as_bytes()), None);
        assert_eq!(parse(format!("{head}2\r\nno\r\n0\r\n\r\n").as_bytes()), Some(Response { status: 503, closes: true }));
    }

    #[test]
    fn a_header_is_found_by_its_whole_name() {
        let response = b"HTTP/1.1 200 OK\r\nX-Content-Length: 9\r\ncontent-length:0\r\n\r\n";
        assert_eq!(parse(response), Some(Response { status: 200, closes: false }));
    }
}
