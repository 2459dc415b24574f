//! The bodies of registering and signing in: the union of what the contracts document.

use crate::auth::SignedIn;
use domain::{UserId, UserRole};
use salvo::oapi::ToSchema;
use serde::{Deserialize, Serialize};
use store::{sign_in::Tenant, users::User};
use uuid::Uuid;

/// A new tenant and its first user, who becomes its owner.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[salvo(schema(example = json!({"email": "admin@company.com", "password": "SecurePass123!", "name": "Admin User", "tenantName": "Company Name"})))]
pub(crate) struct RegisterBody {
    #[salvo(schema(format = "email", max_length = 254))]
    pub email: String,
    /// 8 to 256 characters.
    #[salvo(schema(min_length = 8, max_length = 256))]
    pub password: String,
    #[salvo(schema(max_length = 200))]
    pub name: Option<String>,
    #[salvo(schema(max_length = 200))]
    pub tenant_name: Option<String>,
}

/// What a user signs in with.
#[derive(Debug, Deserialize, ToSchema)]
#[salvo(schema(example = json!({"email": "admin@company.com", "password": "SecurePass123!"})))]
pub(crate) struct LoginBody {
    pub email: String,
    pub password: String,
}

/// Tokens and who they are for: in the envelope of `cloud` and, beside it, as `omnichat` and `platform` have them.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Session {
    success: bool,
    data: SessionData,
    access_token: String,
    refresh_token: Option<String>,
    user: UserView,
    tenant: TenantView,
    /// Seconds that the access token is good.
    expires_in: i64,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SessionData {
    user: CloudUser,
    tenant: TenantView,
    token: String,
    refresh_token: Option<String>,
}

/// Who is signed in.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Me {
    success: bool,
    data: MeData,
    user: UserView,
    tenant_id: Uuid,
}

#[derive(Debug, Serialize, ToSchema)]
struct MeData {
    user: CloudUser,
    tenant: TenantView,
}

/// A user, roles in lower case.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct UserView {
    id: Uuid,
    email: Option<String>,
    name: String,
    /// `owner`, `admin` or `agent`.
    role: String,
}

/// A user, roles in upper case.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct CloudUser {
    id: Uuid,
    email: Option<String>,
    name: String,
    /// `OWNER`, `ADMIN` or `AGENT`.
    role: String,
}

/// A tenant.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct TenantView {
    id: Uuid,
    name: String,
}

impl From<&Tenant> for TenantView {
    fn from(tenant: &Tenant) -> Self {
        Self { id: tenant.public_id, name: tenant.name.clone() }
    }
}

fn views(user: &User) -> (CloudUser, UserView) {
    let UserId(id) = user.id;
    let role = UserRole::as_str(user.role);
    (
        CloudUser { id, email: user.email.clone(), name: user.name.clone(), role: role.to_uppercase() },
        UserView { id, email: user.email.clone(), name: user.name.clone(), role: role.to_owned() },
    )
}

impl From<SignedIn> for Session {
    fn from(signed_in: SignedIn) -> Self {
        let (cloud, plain) = views(&signed_in.user);
        let tenant = TenantView::from(&signed_in.tenant);
        Self {
            success: true,
            data: SessionData {
                user: cloud,
                tenant: tenant.clone(),
                token: signed_in.access_token.clone(),
                refresh_token: signed_in.refresh_token.clone(),
            },
            access_token: signed_in.access_token,
            refresh_token: signed_in.refresh_token,
            user: plain,
            tenant,
            expires_in: signed_in.expires_in,
        }
    }
}

impl Me {
    pub(super) fn new(tenant: &Tenant, user: &User) -> Self {
        let (cloud, plain) = views(user);
        Self { success: true, data: MeData { user: cloud, tenant: tenant.into() }, user: plain, tenant_id: tenant.public_id }
    }
}
