//! Passwords: Argon2id. Each takes 19 MiB and some 20 ms, so callers choose where and how many at once.

use crate::Secret;
use argon2::{
    Argon2,
    password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString},
};

/// A hash of nothing anybody knows, so that an unknown name takes as long as a wrong password.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$c3dpdGNoYm9hcmQtbm9ib2R5$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const SHORTEST: usize = 8;
const LONGEST: usize = 256;

/// A password that is not good enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadPassword(pub &'static str);

/// Checks a password that somebody chooses.
pub fn check(password: &str) -> Result<(), BadPassword> {
    match password.chars().count() {
        ..SHORTEST => Err(BadPassword("must have at least 8 characters")),
        SHORTEST..=LONGEST => Ok(()),
        _ => Err(BadPassword("must have at most 256 characters")),
    }
}

/// The hash to store. Fails only if this build's Argon2 does.
pub fn hash(password: &Secret) -> Result<String, argon2::password_hash::Error> {
    let salt = SaltString::encode_b64(&rand::random::<[u8; 16]>())?;
    Ok(Argon2::default().hash_password(password.expose().as_bytes(), &salt)?.to_string())
}

/// True if `password` has this hash. Without a hash it takes as long, and is false.
pub fn verify(password: &Secret, hash: Option<&str>) -> bool {
    let matches = PasswordHash::new(hash.unwrap_or(NOBODY))
        .is_ok_and(|hash| Argon2::default().verify_password(password.expose().as_bytes(), &hash).is_ok());
    hash.is_some() && matches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_has_its_own_hash_and_no_other() {
        let right = Secret::new("correct horse");
        let hashed = hash(&right).unwrap();
        assert!(hashed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hashed}");
        assert_ne!(hash(&right).unwrap(), hashed);
        assert!(verify(&right, Some(&hashed)));
        assert!(!verify(&Secret::new("correct hors"), Some(&hashed)));
        assert!(!verify(&right, None));
        assert!(!verify(&Secret::new(""), Some("garbage")));
    }

    #[test]
    fn the_hash_of_nobody_is_one_that_is_really_computed() {
        assert!(PasswordHash::new(NOBODY).is_ok());
    }

    #[test]
    fn a_password_has_eight_to_256_characters() {
        assert!(check("1234567").is_err() && check(&"é".repeat(257)).is_err());
        assert!(check("12345678").is_ok() && check(&"é".repeat(256)).is_ok());
    }
}
