//! Users, as the helpdesk shows them.

use crate::{
    auth::{NewPerson, PersonChanges, check_password, create_user},
    prelude::*,
    request,
};
use domain::UserRole;
use platform::Secret;
use store::users::{self, User, UserFilter};

/// A user. Owners and admins are `admin`, agents are `empleado`.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UserView {
    user_id: i32,
    full_name: String,
    username: String,
    email: Option<String>,
    role: Role,
    active: bool,
    last_login_at: Option<Time>,
    password_changed_at: Option<Time>,
}

/// What a user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Role {
    Admin,
    Empleado,
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
#[salvo(schema(example = json!({"full_name": "New Agent", "username": "newagent", "email": "newagent@example.com", "password": "ClearTextPassword!", "role": "empleado"})))]
pub(super) struct UserBody {
    #[salvo(schema(min_length = 1, max_length = 200))]
    full_name: String,
    /// Unique over all of Switchboard; without `@`.
    #[salvo(schema(min_length = 1, max_length = 100))]
    username: String,
    #[salvo(schema(format = "email", max_length = 254))]
    email: Option<String>,
    /// 8 to 256 characters.
    #[salvo(schema(min_length = 8, max_length = 256))]
    password: String,
    /// `empleado` unless given.
    role: Option<Role>,
}

/// What to change; absent fields stay.
#[derive(Debug, Deserialize, ToSchema)]
#[salvo(schema(example = json!({"full_name": "Renamed Agent"})))]
pub(super) struct UserPatch {
    #[salvo(schema(min_length = 1, max_length = 200))]
    full_name: Option<String>,
    #[salvo(schema(min_length = 1, max_length = 100))]
    username: Option<String>,
    #[salvo(schema(format = "email", max_length = 254))]
    email: Option<String>,
    #[salvo(schema(min_length = 8, max_length = 256))]
    password: Option<String>,
    role: Option<Role>,
    active: Option<bool>,
}

impl From<&User> for UserView {
    fn from(user: &User) -> Self {
        Self {
            user_id: user.number,
            full_name: user.name.clone(),
            // Whoever registered a tenant has an e-mail address only, and signs in with it.
            username: user.username.clone().or_else(|| user.email.clone()).unwrap_or_default(),
            email: user.email.clone(),
            role: if user.role.is_admin() { Role::Admin } else { Role::Empleado },
            active: user.active,
            last_login_at: user.last_login_at.map(Time),
            password_changed_at: user.password_changed_at.map(Time),
        }
    }
}

impl Role {
    fn stored(self) -> &'static [UserRole] {
        match self {
            Self::Admin => &[UserRole::Owner, UserRole::Admin],
            Self::Empleado => &[UserRole::Agent],
        }
    }

    /// The role for somebody who had `before`: an owner who is to be `admin` stays an owner.
    fn for_user(self, before: UserRole) -> UserRole {
        match self {
            Self::Admin if before.is_admin() => before,
            Self::Admin => UserRole::Admin,
            Self::Empleado => UserRole::Agent,
        }
    }
}

fn username(fields: &mut Fields, text: &str) -> String {
    let name = fields.text(text, "username", 100);
    fields.check(!name.contains('@') && !name.contains(char::is_whitespace), "username", "must not contain @ or spaces");
    name
}

async fn find(app: &App, caller: &Caller, number: i32) -> Result<User, ApiError> {
    let mut tx = app.tenants.begin(caller.tenant).await?;
    users::get_by_number(&mut tx, caller.tenant, number).await?.ok_or_else(|| ApiError::not_found("User"))
}

/// List users
#[endpoint]
pub(super) async fn list_users(app: App, caller: Caller, query: Query<UsersQuery>) -> Result<Ok200<Vec<UserView>>, ApiError> {
    let Query(query) = query;
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
#[endpoint]
pub(super) async fn get_user(app: App, caller: Caller, user_id: Path<i32>) -> Result<Ok200<UserView>, ApiError> {
    Ok200::new(&UserView::from(&find(&app, &caller, user_id.0).await?))
}

/// Make a user
///
/// By owners and admins.
#[endpoint]
pub(super) async fn post_user(app: App, caller: Admin, body: Body<UserBody>, key: RequestKey) -> Result<Created<UserView>, ApiError> {
    let (Admin(caller), Body(body)) = (caller, body);
    let mut fields = Fields::default();
    let name = fields.text(&body.full_name, "full_name", 200);
    let username = username(&mut fields, &body.username);
    let email = body.email.and_then(|text| fields.email(&text, "email"));
    check_password(&mut fields, "password", &body.password);
    fields.finish()?;
    let role = body.role.unwrap_or(Role::Empleado).for_user(UserRole::Agent);
    let new = NewPerson { email, username: Some(username), name, role, password: Secret::new(body.password) };
    let new = app.prepare_user(&caller, new).await?;
    let mut work = match app.begin_once(&caller, &key).await? {
        Begun::Answered(reply) => return Ok(reply),
        Begun::Work(work) => work,
    };
    let user = create_user(&mut work, &caller, &new).await?;
    work.answer(&UserView::from(&user)).await
}

/// Change a user
///
/// Admins change everybody but owners; everybody may change their own name, e-mail, username and password.
#[endpoint]
pub(super) async fn patch_user(app: App, caller: Caller, user_id: Path<i32>, body: Body<UserPatch>) -> Result<Ok200<UserView>, ApiError> {
    let Body(body) = body;
    let mut fields = Fields::default();
    let name = body.full_name.map(|text| fields.text(&text, "full_name", 200));
    let username = body.username.map(|text| username(&mut fields, &text));
    let email = body.email.and_then(|text| fields.email(&text, "email"));
    if let Some(password) = &body.password {
        check_password(&mut fields, "password", password);
    }
    fields.finish()?;
    let user = find(&app, &caller, user_id.0).await?;
    let changes = PersonChanges {
        email,
        username,
        name,
        role: body.role.map(|role| role.for_user(user.role)),
        active: body.active,
        password: body.password.map(Secret::new),
    };
    Ok200::new(&UserView::from(&app.change_user(&caller, &user, changes).await?))
}

/// Delete a user
///
/// What they made stays, without its maker.
#[endpoint]
pub(super) async fn delete_user(app: App, caller: Caller, user_id: Path<i32>) -> Result<NoContent, ApiError> {
    let user = find(&app, &caller, user_id.0).await?;
    app.delete_user(&caller, &user).await?;
    Ok(NoContent)
}
