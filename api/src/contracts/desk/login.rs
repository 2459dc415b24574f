//! Signing in to the helpdesk: one token, without refresh.

use super::users::UserView;
use crate::{auth::Speaks, prelude::*, request::ClientAddress};
use platform::Secret;

/// A username or e-mail address, and the password.
#[derive(Debug, Deserialize, ToSchema)]
#[salvo(schema(example = json!({"username": "user1", "password": "secret"})))]
pub(super) struct LoginBody {
    pub username: String,
    pub password: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Session {
    access_token: String,
    /// Always `bearer`.
    token_type: String,
    /// Seconds.
    expires_in: i64,
    user: UserView,
}

/// Sign in to the helpdesk
#[endpoint]
pub(super) async fn login(app: App, address: ClientAddress, body: Body<LoginBody>) -> Result<Ok200<Session>, ApiError> {
    let Body(LoginBody { username, password }) = body;
    let mut fields = Fields::default();
    let username = fields.text(&username, "username", 254);
    fields.check(!password.is_empty(), "password", "must not be empty");
    fields.finish()?;
    let signed_in = app.sign_in(&username, Secret::new(password), Speaks::Desk, &address.0).await?;
    Ok200::new(&Session {
        access_token: signed_in.access_token,
        token_type: "bearer".to_owned(),
        expires_in: signed_in.expires_in,
        user: UserView::from(&signed_in.user),
    })
}
