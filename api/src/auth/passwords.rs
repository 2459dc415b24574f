//! Passwords: Argon2id, off the async threads, and only as many at once as there are cores, since each takes 19 MiB and some 20 ms.

use crate::ApiError;
use argon2::{
    Argon2,
    password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString},
};
use platform::Secret;
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// How long a sign-in waits for its turn before it is told to come again.
const PATIENCE: Duration = Duration::from_secs(5);
/// A hash of nothing anybody knows, so that an unknown e-mail takes as long as a wrong password.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$c3dpdGNoYm9hcmQtbm9ib2R5$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const SHORTEST: usize = 8;
const LONGEST: usize = 256;

/// Hashes and verifies passwords.
#[derive(Clone, Debug)]
pub(crate) struct Passwords(Arc<Semaphore>);

/// A password that is not good enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadPassword(pub &'static str);

impl Passwords {
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Self(Arc::new(Semaphore::new(cores)))
    }

    /// Checks a password that somebody chooses.
    pub(crate) fn check(password: &str) -> Result<(), BadPassword> {
        match password.chars().count() {
            ..SHORTEST => Err(BadPassword("must have at least 8 characters")),
            SHORTEST..=LONGEST => Ok(()),
            _ => Err(BadPassword("must have at most 256 characters")),
        }
    }

    /// The hash to store.
    pub(crate) async fn hash(&self, password: Secret) -> Result<String, ApiError> {
        let hash = self.off_thread(move || {
            let salt = SaltString::encode_b64(&rand::random::<[u8; 16]>()).map_err(|error| error.to_string())?;
            Argon2::default().hash_password(password.expose().as_bytes(), &salt).map(|hash| hash.to_string()).map_err(|error| error.to_string())
        });
        hash.await?.map_err(|error| ApiError::internal(&error))
    }

    /// True if `password` has this hash. Without a hash it takes as long, and is false.
    pub(crate) async fn verify(&self, password: Secret, hash: Option<String>) -> Result<bool, ApiError> {
        self.off_thread(move || {
            let known = hash.is_some();
            let hash = hash.unwrap_or_else(|| NOBODY.to_owned());
            let matches = PasswordHash::new(&hash)
                .is_ok_and(|hash| Argon2::default().verify_password(password.expose().as_bytes(), &hash).is_ok());
            known && matches
        })
        .await
    }

    async fn off_thread<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
        let busy = || ApiError::unavailable("Too many people sign in at once: try again").with_retry_after(2);
        let turn = tokio::time::timeout(PATIENCE, self.0.clone().acquire_owned()).await.map_err(|_| busy())?.map_err(|_| busy())?;
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(turn);
            result
        });
        done.await.map_err(|error| ApiError::internal(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_has_its_own_hash_and_no_other() {
        let passwords = Passwords::new();
        let hash = passwords.hash(Secret::new("correct horse")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(passwords.hash(Secret::new("correct horse")).await.unwrap(), hash);
        assert!(passwords.verify(Secret::new("correct horse"), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify(Secret::new("correct hors"), Some(hash)).await.unwrap());
        assert!(!passwords.verify(Secret::new("correct horse"), None).await.unwrap());
        assert!(!passwords.verify(Secret::new(""), Some("garbage".to_owned())).await.unwrap());
    }

    #[test]
    fn the_hash_of_nobody_is_one_that_is_really_computed() {
        assert!(PasswordHash::new(NOBODY).is_ok());
    }

    #[test]
    fn a_password_has_eight_to_256_characters() {
        assert!(Passwords::check("1234567").is_err() && Passwords::check(&"é".repeat(257)).is_err());
        assert!(Passwords::check("12345678").is_ok() && Passwords::check(&"é".repeat(256)).is_ok());
    }
}
