//! Asking a provider who a person is.

use crate::sending::Account;
use serde_json::Value;

/// What a person shows of themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    pub name: Option<String>,
    /// The picture's address, which may expire.
    pub picture: Option<String>,
}

/// How a channel is asked.
#[derive(Clone, Copy, Debug)]
pub struct ProfileLookup {
    /// The channel's secret that opens the provider's API.
    pub token: &'static str,
    /// The address of a person's profile; GET, with the token as bearer.
    pub url: fn(&Account, &str) -> String,
    /// Reads a good answer.
    pub read: fn(&[u8]) -> Profile,
}

/// Reads what Meta answers: Messenger has first and last names, Instagram a name or only a username.
pub(crate) fn read_meta(body: &[u8]) -> Profile {
    /// Longer than anybody's.
    const LONGEST_NAME: usize = 200;
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty() && !text.contains('\0'));
    let both: Vec<&str> = [text("first_name"), text("last_name")].into_iter().flatten().collect();
    let name = text("name").map(str::to_owned).or_else(|| Some(both.join(" ")).filter(|name| !name.is_empty()));
    Profile {
        name: name.or_else(|| text("username").map(str::to_owned)).map(|name| name.chars().take(LONGEST_NAME).collect()),
        picture: text("profile_pic").filter(|url| url.starts_with("https://") && url.len() <= 2_048).map(str::to_owned),
    }
}
