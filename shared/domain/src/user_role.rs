//! What a user may do.

use serde::{Deserialize, Serialize};

/// `users.role`. The order of the variants is the order of rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UserRole {
    /// Answers customers.
    Agent,
    /// Also users, channels, settings, agents.
    Admin,
    /// Also other admins and owners. Whoever registered the tenant.
    Owner,
}

impl UserRole {
    pub const ALL: [Self; 3] = [Self::Agent, Self::Admin, Self::Owner];

    /// The text stored in `users.role`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// Reads what `as_str` wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    pub fn is_admin(self) -> bool {
        self >= Self::Admin
    }
}
