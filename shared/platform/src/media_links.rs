//! Signed, expiring addresses of files: who has one may read that file until then, and nothing else.

use crate::{Secret, SignedLinks};
use chrono::{DateTime, Utc};

/// A link is good for at least this long, and at most twice as long: links of one hour are alike, so that pages which show them can be cached.
const SECONDS: i64 = 3_600;

/// Signs and checks.
#[derive(Clone, Debug)]
pub struct MediaLinks(SignedLinks);

impl MediaLinks {
    /// With a key derived from `secret`; `base`: where others reach us, without a slash at the end.
    pub fn new(secret: &Secret, base: &str) -> Self {
        Self(SignedLinks::new(secret, "media links", format!("{base}/media")))
    }

    /// The address of a file.
    pub fn sign(&self, file: &str, now: DateTime<Utc>) -> String {
        self.0.sign(file, (now.timestamp().div_euclid(SECONDS) + 2) * SECONDS)
    }

    /// Is it a signature of ours for this file that has not expired?
    pub fn is_good(&self, file: &str, expires: i64, signature: &str, now: DateTime<Utc>) -> bool {
        self.0.is_good(file, expires, signature, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_opens_its_file_until_it_expires() {
        let links = MediaLinks::new(&Secret::new("k"), "https://us.example");
        let now = DateTime::from_timestamp(1_760_000_000, 0).unwrap();
        let link = links.sign("a", now);
        let query = link.strip_prefix("https://us.example/media/a?expires=").unwrap();
        let (expires, signature) = query.split_once("&signature=").unwrap();
        let expires: i64 = expires.parse().unwrap();
        assert!((SECONDS..=2 * SECONDS).contains(&(expires - now.timestamp())));
        assert!(links.is_good("a", expires, signature, now));
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        assert!(links.is_good("a", expires, signature, at(expires - 1)) && !links.is_good("a", expires, signature, at(expires)));
        assert!(!links.is_good("b", expires, signature, now) && !links.is_good("a", expires + 1, signature, now));
        for bad in ["", "zz", &signature[2..]] {
            assert!(!links.is_good("a", expires, bad, now));
        }
        assert!(!MediaLinks::new(&Secret::new("other"), "").is_good("a", expires, signature, now));
    }
}
