//! The omnichannel inbox contract: refreshing and signing out, channels, sending.

mod auth;
mod channels;
mod dialect;
pub(super) mod messages;
mod oidc;
mod telegram_user;

use super::Contract;
use crate::{auth::Gate, middleware::budgets};
use salvo::{Router, http::StatusCode};

pub(super) const CONTRACT: Contract = Contract {
    name: "omnichat",
    about: "Omnichannel inbox: sign-in, channels, sending",
    paths: &["/api/auth", "/api/channels", "/api/telegram", "/api/facebook", "/api/messages/send"],
    invalid_status: StatusCode::BAD_REQUEST,
    error_body: dialect::error_body,
    error_schema: dialect::error_schema,
    routes,
};

fn routes() -> Router {
    let gate = Gate { budget: budgets::user };
    Router::with_path("api")
        .push(Router::with_path("auth/refresh").post(auth::refresh))
        .push(Router::with_path("auth/oidc/login").get(oidc::begin_oidc))
        .push(Router::with_path("auth/oidc/callback").get(oidc::finish_oidc))
        .push(
            Router::new()
                .hoop(gate)
                .push(Router::with_path("auth/logout").post(auth::logout))
                .push(Router::with_path("channels").get(channels::list_channels).post(channels::post_channel))
                .push(
                    Router::with_path("channels/{channel_id}")
                        .get(channels::get_channel)
                        .patch(channels::patch_channel)
                        .delete(channels::delete_channel),
                )
                .push(Router::with_path("messages/send").post(messages::send_message))
                .push(Router::with_path("telegram/user/start").post(telegram_user::start_telegram_user))
                .push(Router::with_path("telegram/user/confirm").post(telegram_user::confirm_telegram_user))
                .push(Router::with_path("telegram/user/logout").post(telegram_user::logout_telegram_user)),
        )
}
