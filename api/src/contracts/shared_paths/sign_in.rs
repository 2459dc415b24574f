//! Registering, signing in, and who am I.

use super::wire::{LoginBody, Me, RegisterBody, Session};
use crate::{
    auth::{Registration, Speaks, check_password},
    prelude::*,
    request::ClientAddress,
};
use platform::Secret;
use store::sign_in::{self, Login};

/// Make a tenant and its first user
///
/// The user becomes its owner and is signed in.
#[endpoint]
pub(super) async fn register(app: App, address: ClientAddress, body: Body<RegisterBody>) -> Result<Created<Session>, ApiError> {
    let Body(RegisterBody { email, password, name, tenant_name }) = body;
    let mut fields = Fields::default();
    let email = fields.email(&email, "email").unwrap_or_default();
    check_password(&mut fields, "password", &password);
    let name = name.map(|name| fields.text(&name, "name", 200));
    let tenant_name = tenant_name.map(|name| fields.text(&name, "tenantName", 200));
    fields.finish()?;
    let new = Registration { email, password: Secret::new(password), name, tenant_name };
    Created::new(&app.register(new, &address.0).await?.into())
}

/// Sign in
#[endpoint]
pub(super) async fn login(app: App, address: ClientAddress, body: Body<LoginBody>) -> Result<Ok200<Session>, ApiError> {
    let Body(LoginBody { email, password }) = body;
    let mut fields = Fields::default();
    let email = fields.text(&email, "email", 254);
    fields.check(!password.is_empty(), "password", "must not be empty");
    fields.finish()?;
    Ok200::new(&app.sign_in(&email, Secret::new(password), Speaks::Cloud, &address.0).await?.into())
}

/// Who am I
#[endpoint]
pub(super) async fn me(app: App, caller: Caller) -> Result<Ok200<Me>, ApiError> {
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let found = sign_in::find(&mut tx, Login::User(caller.tenant, caller.user)).await?.ok_or_else(ApiError::unauthorized)?;
    Ok200::new(&Me::new(&found.tenant, &found.user))
}
