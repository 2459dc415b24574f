//! Users, as the agent platform shows them.

use crate::{
    auth::{NewPerson, PersonChanges, check_password, create_user},
    prelude::*,
    request,
};
use domain::{UserId, UserRole};
use platform::Secret;
use store::users::{self, User, UserFilter};
use uuid::Uuid;

/// A user.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UserView {
    id: Uuid,
    email: Option<String>,
    name: String,
    role: Role,
    active: bool,
    last_login_at: Option<Time>,
    created_at: Time,
}

/// What a user may do. An agent is also called supporter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Role {
    Owner,
    Admin,
    Agent,
}

#[derive(Debug, Deserialize, ToParameters)]
#[salvo(parameters(default_parameter_in = Query))]
pub(super) struct UsersQuery {
    active: Option<bool>,
    role: Option<Role>,
    #[salvo(parameter(minimum = 1))]
    limit: Option<i64>,
    #[salvo(parameter(minimum = 0))]
    offset: Option<i64>,
}

/// A user to make.
#[derive(Debug, Deserialize, ToSchema)]
#[salvo(schema(example = json!({"email": "supporter@company.com", "password": "SecurePass123!", "name": "Sam Supporter", "role": "agent"})))]
pub(super) struct UserBody {
    #[salvo(schema(format = "email", max_length = 254))]
    email: String,
    /// 8 to 256 characters.
    #[salvo(schema(min_length = 8, max_length = 256))]
    password: String,
    #[salvo(schema(min_length = 1, max_length = 200))]
    name: String,
    /// `agent` unless given.
    role: Option<Role>,
}

/// What to change; absent fields stay.
#[derive(Debug, Deserialize, ToSchema)]
#[salvo(schema(example = json!({"name": "Sam Supporter"})))]
pub(super) struct UserPatch {
    #[salvo(schema(format = "email", max_length = 254))]
    email: Option<String>,
    #[salvo(schema(min_length = 8, max_length = 256))]
    password: Option<String>,
    #[salvo(schema(min_length = 1, max_length = 200))]
    name: Option<String>,
    role: Option<Role>,
    active: Option<bool>,
}

impl From<Role> for UserRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Owner => Self::Owner,
            Role::Admin => Self::Admin,
            Role::Agent => Self::Agent,
        }
    }
}

impl Role {
    fn stored(self) -> &'static [UserRole] {
        match self {
            Self::Owner => &[UserRole::Owner],
            Self::Admin => &[UserRole::Admin],
            Self::Agent => &[UserRole::Agent],
        }
    }
}

impl From<&User> for UserView {
    fn from(user: &User) -> Self {
        let role = match user.role {
            UserRole::Owner => Role::Owner,
            UserRole::Admin => Role::Admin,
            UserRole::Agent => Role::Agent,
        };
        Self {
            id: user.id.0,
            email: user.email.clone(),
            name: user.name.clone(),
            role,
            active: user.active,
            last_login_at: user.last_login_at.map(Time),
            created_at: Time(user.created_at),
        }
    }
}

async fn find(app: &App, caller: &Caller, id: Uuid) -> Result<User, ApiError> {
    let mut tx = app.tenants.begin(caller.tenant).await?;
    users::get(&mut tx, caller.tenant, UserId(id)).await?.ok_or_else(|| ApiError::not_found("User"))
}

/// List users
///
/// For owners and admins.
#[endpoint]
pub(super) async fn list_users(app: App, caller: Admin, query: Query<UsersQuery>) -> Result<Ok200<Vec<UserView>>, ApiError> {
    let (Admin(caller), Query(query)) = (caller, query);
    let filter = UserFilter {
        active: query.active,
        roles: query.role.map_or(&[], Role::stored),
        limit: request::limit(query.limit)?,
        offset: request::offset(query.offset)?,
    };
    let mut tx = app.tenants.begin(caller.tenant).await?;
    Ok200::new(&users::list(&mut tx, caller.tenant, filter).await?.iter().map(UserView::from).collect())
}

/// Read a user
///
/// For owners and admins; everybody may read themselves.
#[endpoint]
pub(super) async fn get_user(app: App, caller: Caller, user_id: Path<Uuid>) -> Result<Ok200<UserView>, ApiError> {
    let user = find(&app, &caller, user_id.0).await?;
    if !caller.role.is_admin() && user.id != caller.user {
        return Err(ApiError::forbidden("Only an owner or admin may do this"));
    }
    Ok200::new(&UserView::from(&user))
}

/// Make a user
///
/// By owners and admins.
#[endpoint]
pub(super) async fn post_user(app: App, caller: Admin, body: Body<UserBody>, key: RequestKey) -> Result<Created<UserView>, ApiError> {
    let (Admin(caller), Body(body)) = (caller, body);
    let mut fields = Fields::default();
    let email = fields.email(&body.email, "email");
    let name = fields.text(&body.name, "name", 200);
    check_password(&mut fields, "password", &body.password);
    fields.finish()?;
    let role = body.role.unwrap_or(Role::Agent).into();
    let new = app.prepare_user(&caller, NewPerson { email, username: None, name, role, password: Secret::new(body.password) }).await?;
    let mut work = match app.begin_once(&caller, &key).await? {
        Begun::Answered(reply) => return Ok(reply),
        Begun::Work(work) => work,
    };
    let user = create_user(&mut work, &caller, &new).await?;
    work.answer(&UserView::from(&user)).await
}

/// Change a user
///
/// Admins change everybody but owners; everybody may change their own name, e-mail and password.
#[endpoint]
pub(super) async fn patch_user(app: App, caller: Caller, user_id: Path<Uuid>, body: Body<UserPatch>) -> Result<Ok200<UserView>, ApiError> {
    let Body(body) = body;
    let mut fields = Fields::default();
    let email = body.email.and_then(|text| fields.email(&text, "email"));
    let name = body.name.map(|text| fields.text(&text, "name", 200));
    if let Some(password) = &body.password {
        check_password(&mut fields, "password", password);
    }
    fields.finish()?;
    let user = find(&app, &caller, user_id.0).await?;
    let role = body.role.map(UserRole::from);
    let changes = PersonChanges { email, username: None, name, role, active: body.active, password: body.password.map(Secret::new) };
    Ok200::new(&UserView::from(&app.change_user(&caller, &user, changes).await?))
}

/// Delete a user
///
/// What they made stays, without its maker.
#[endpoint]
pub(super) async fn delete_user(app: App, caller: Caller, user_id: Path<Uuid>) -> Result<NoContent, ApiError> {
    let user = find(&app, &caller, user_id.0).await?;
    app.delete_user(&caller, &user).await?;
    Ok(NoContent)
}
