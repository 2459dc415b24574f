//! Who is asking: passwords, tokens, sessions, and the gate in front of every route that needs one.

mod admin_token;
mod administrator;
mod caller;
mod gate;
mod oidc;
mod passwords;
mod refresh_token;
mod sessions;
mod sign_in;
mod tokens;
mod user_admin;

pub(crate) use admin_token::{Operator, OperatorGate, Service, ServiceGate, has_admin_token, pass};
pub(crate) use administrator::{Administrator, AdministratorGate};
pub(crate) use caller::{Admin, Caller, Member, TenantAdmin};
pub(crate) use gate::{Gate, bearer, caller_of};
pub(crate) use oidc::Provider;
pub(crate) use passwords::Passwords;
pub(crate) use refresh_token::RefreshTokens;
pub(crate) use sessions::Sessions;
pub(crate) use sign_in::{Registration, SignedIn, Speaks, check_password, taken};
pub(crate) use tokens::{Claims, KeyError, Tokens};
pub(crate) use user_admin::{NewPerson, PersonChanges, create_user};
