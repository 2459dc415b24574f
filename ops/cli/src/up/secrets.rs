//! Secrets that a first run makes and later runs keep.

use crate::{error::CliError, random_secret, settings::Settings};

/// Each is 32 random bytes in hex: longer than any contract asks for, and the size of the encryption key.
const NAMES: [&str; 8] = [
    "META_APP_SECRET",
    "META_VERIFY_TOKEN",
    "ADMIN_TOKEN",
    "INTERNAL_API_TOKEN",
    "JWT_SECRET",
    "JWT_REFRESH_SECRET",
    "SWITCHBOARD_ENCRYPTION_KEY",
    "DEMO_PASSWORD",
];

/// Those of the environment, else those kept from an earlier run, else new ones.
pub(super) fn all(settings: &Settings) -> Result<Vec<(String, String)>, CliError> {
    NAMES
        .iter()
        .map(|name| {
            let value = settings.get(name).map(str::to_owned);
            Ok(((*name).to_owned(), value.map_or_else(random_secret::make, Ok)?))
        })
        .collect()
}
