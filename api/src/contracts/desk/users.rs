//! Users, as the helpdesk shows them.

use crate::wire::Time;
use domain::UserRole;
use salvo::oapi::ToSchema;
use serde::Serialize;
use store::users::User;

/// A user. Owners and admins are `admin`, agents are `empleado`.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UserView {
    user_id: i32,
    full_name: String,
    username: String,
    email: Option<String>,
    /// `admin` or `empleado`.
    role: String,
    active: bool,
    last_login_at: Option<Time>,
    password_changed_at: Option<Time>,
}

impl From<&User> for UserView {
    fn from(user: &User) -> Self {
        Self {
            user_id: user.number,
            full_name: user.name.clone(),
            // Whoever registered a tenant has an e-mail address only, and signs in with it.
            username: user.username.clone().or_else(|| user.email.clone()).unwrap_or_default(),
            email: user.email.clone(),
            role: role(user.role).to_owned(),
            active: user.active,
            last_login_at: user.last_login_at.map(Time),
            password_changed_at: user.password_changed_at.map(Time),
        }
    }
}

fn role(role: UserRole) -> &'static str {
    match role {
        UserRole::Owner | UserRole::Admin => "admin",
        UserRole::Agent => "empleado",
    }
}
