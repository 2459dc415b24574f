//! Secrets that nobody can guess.

use crate::error::{CliError, Doing};

/// 32 random bytes in hex.
pub(crate) fn make() -> Result<String, CliError> {
    let mut bytes = [0_u8; 32];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| std::io::Error::other("the system's source of random numbers failed"))
        .doing(|| "making a secret".to_owned())?;
    Ok(hex::encode(bytes))
}
