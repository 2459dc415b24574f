//! Texts that must not reach a log. They read as `&str` where they are used, and their `Debug` hides what is secret.

use std::{fmt, ops::Deref};

/// A password, token or key.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// A URL that may carry a user's password. `Debug` shows it without.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Compares in a time that depends on nothing but the lengths.
    pub fn matches(&self, guess: &str) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(self.0.as_bytes(), guess.as_bytes()).is_ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl SecretUrl {
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }
}

impl Deref for SecretUrl {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Passwords also come as a query parameter (`?password=`), so the query is left out whole.
        let (address, query) = self.0.split_once('?').map_or((self.0.as_str(), ""), |(address, _)| (address, "?(hidden)"));
        let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
        let separator = if scheme.is_empty() { "" } else { "://" };
        match rest.rsplit_once('@') {
            Some((login, host)) => {
                let user = login.split_once(':').map_or(login, |(user, _)| user);
                write!(f, "{scheme}{separator}{user}@{host}{query}")
            }
            None => write!(f, "{scheme}{separator}{rest}{query}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_of_a_secret_is_hidden() {
        assert_eq!(format!("{:?}", Some(Secret::new("s3cret"))), "Some((hidden))");
    }

    #[test]
    fn a_secret_matches_itself_only() {
        let secret = Secret::new("s3cret");
        assert!(secret.matches("s3cret"));
        for guess in ["", "s3cre", "s3cret ", "S3cret"] {
            assert!(!secret.matches(guess), "{guess}");
        }
    }

    #[test]
    fn debug_output_of_a_url_shows_the_host_and_not_the_password() {
        let shown = |url: &str| format!("{:?}", SecretUrl::new(url));
        assert_eq!(shown("postgres://app:p@ss:w/rd@db:5432/main"), "postgres://app@db:5432/main");
        assert_eq!(shown("redis://:pass@cache:6379/0"), "redis://@cache:6379/0");
        assert_eq!(shown("redis://127.0.0.1:6379"), "redis://127.0.0.1:6379");
        assert_eq!(shown("postgres://db/main?user=a&password=b"), "postgres://db/main?(hidden)");
        assert_eq!(shown("no url at all"), "no url at all");
    }
}
