//! The signature on Meta's webhooks: `X-Hub-Signature-256: sha256=<hex of HMAC-SHA256(app secret, raw body)>`.
//!
//! Source: <https://developers.facebook.com/docs/graph-api/webhooks/getting-started>, "Validating payloads". It is taken over
//! the bytes as they came (Meta escapes non-ASCII text in them), so verify before anything parses or re-encodes the body.

use aws_lc_rs::hmac;

const PREFIX: &[u8] = b"sha256=";
const DIGEST_BYTES: usize = 32;

/// An app secret, prepared once for many bodies. `Debug` shows the algorithm only.
#[derive(Clone, Debug)]
pub struct SignatureKey {
    key: hmac::Key,
    empty: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("the header X-Hub-Signature-256 is missing")]
    Missing,
    #[error("the header X-Hub-Signature-256 is not `sha256=` and 64 hex digits")]
    Malformed,
    #[error("the signature does not belong to this body")]
    Mismatch,
}

impl SignatureKey {
    /// Prepares the key. An empty secret (a setting left blank) verifies nothing: anybody could sign with it.
    pub fn new(secret: &[u8]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, secret), empty: secret.is_empty() }
    }

    /// Checks the header's value against the raw body, in constant time.
    pub fn verify(&self, header: Option<&[u8]>, body: &[u8]) -> Result<(), SignatureError> {
        let digits = header.ok_or(SignatureError::Missing)?.strip_prefix(PREFIX).ok_or(SignatureError::Malformed)?;
        let mut claimed = [0_u8; DIGEST_BYTES];
        hex::decode_to_slice(digits, &mut claimed).map_err(|_| SignatureError::Malformed)?;
        if self.empty {
            return Err(SignatureError::Mismatch);
        }
        hmac::verify(&self.key, body, &claimed).map_err(|_| SignatureError::Mismatch)
    }

    /// The header's value for a body: what Meta would send.
    pub fn sign(&self, body: &[u8]) -> String {
        format!("sha256={}", hex::encode(hmac::sign(&self.key, body)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2.
    const SECRET: &[u8] = b"Jefe";
    const BODY: &[u8] = b"what do ya want for nothing?";
    const HEADER: &str = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";

    fn check(header: &[u8], body: &[u8]) -> Result<(), SignatureError> {
        SignatureKey::new(SECRET).verify(Some(header), body)
    }

    #[test]
    fn the_published_test_vector_verifies_and_is_what_we_sign() {
        assert_eq!(SignatureKey::new(SECRET).sign(BODY), HEADER);
        assert_eq!(check(HEADER.as_bytes(), BODY), Ok(()));
    }

    #[test]
    fn a_changed_body_a_changed_digit_or_another_secret_does_not_match() {
        assert_eq!(check(HEADER.as_bytes(), b"what do ya want for nothing!"), Err(SignatureError::Mismatch));
        assert_eq!(check(HEADER.replace("sha256=5", "sha256=6").as_bytes(), BODY), Err(SignatureError::Mismatch));
        assert_eq!(SignatureKey::new(b"jefe").verify(Some(HEADER.as_bytes()), BODY), Err(SignatureError::Mismatch));
    }

    #[test]
    fn a_missing_header_is_told_from_a_malformed_one() {
        assert_eq!(SignatureKey::new(SECRET).verify(None, BODY), Err(SignatureError::Missing));
        let digits = HEADER.trim_start_matches("sha256=");
        let one_short = &HEADER[..HEADER.len() - 1];
        for bad in
            ["", "sha256=", digits, one_short, &format!("{HEADER}00"), &format!("sha1={digits}"), &format!("sha256={}", "z".repeat(64))]
        {
            assert_eq!(check(bad.as_bytes(), BODY), Err(SignatureError::Malformed), "{bad}");
        }
        assert_eq!(check(b"sha256=\xff\xfe", BODY), Err(SignatureError::Malformed));
    }

    #[test]
    fn an_empty_secret_verifies_nothing_not_even_its_own_signature() {
        let blank = SignatureKey::new(b"");
        let signed = blank.sign(BODY);
        assert_eq!(blank.verify(Some(signed.as_bytes()), BODY), Err(SignatureError::Mismatch));
    }

    #[test]
    fn debug_output_does_not_show_the_secret() {
        assert!(!format!("{:?}", SignatureKey::new(b"Jefe")).contains("Jefe"));
        assert!(!format!("{:?}", SignatureKey::new(b"Jefe")).contains("74, 101"));
    }
}
