//! Who may make, change and remove users: the same in every contract.
//!
//! Admins manage everybody but owners, owners everybody. Everybody may change their own name, e-mail and password. A tenant keeps
//! an active owner, and nobody locks themselves out. What the platform's operators sign in with is theirs alone: who could set it
//! could become one.

use super::{Caller, taken};
use crate::{ApiError, App};
use domain::{UserId, UserRole};
use platform::Secret;
use salvo::http::StatusCode;
use serde_json::json;
use store::{
    PgConnection, audit,
    audit::Act,
    sessions::{self, Ended},
    users::{self, NewUser, User, UserChanges},
};

/// A user to make.
#[derive(Debug)]
pub(crate) struct NewPerson {
    pub email: Option<String>,
    pub username: Option<String>,
    pub name: String,
    pub role: UserRole,
    pub password: Secret,
}

/// What to change; `None` leaves as it is.
#[derive(Debug, Default)]
pub(crate) struct PersonChanges {
    pub email: Option<String>,
    pub username: Option<String>,
    pub name: Option<String>,
    pub role: Option<UserRole>,
    pub active: Option<bool>,
    pub password: Option<Secret>,
}

impl App {
    /// The hash of a new user's password, made before the transaction begins, for it takes long. Refuses who may not make this user.
    pub(crate) async fn prepare_user(&self, caller: &Caller, new: NewPerson) -> Result<NewUser, ApiError> {
        must_manage(caller, new.role)?;
        let NewPerson { email, username, name, role, password } = new;
        Ok(NewUser { email, username, name, role, password_hash: Some(self.passwords.hash(password).await?) })
    }

    /// Changes a user.
    pub(crate) async fn change_user(&self, caller: &Caller, user: &User, changes: PersonChanges) -> Result<User, ApiError> {
        let own = user.id == caller.user;
        let PersonChanges { email, username, name, role, active, password } = changes;
        // What is so already is no change.
        let email = email.filter(|email| user.email.as_ref() != Some(email));
        let username = username.filter(|username| user.username.as_ref() != Some(username));
        let role = role.filter(|role| *role != user.role);
        let active = active.filter(|active| *active != user.active);
        if !own || role.is_some() || active.is_some() {
            must_manage(caller, user.role)?;
            must_manage(caller, role.unwrap_or(user.role))?;
        }
        if own && active.is_some() {
            return Err(cannot_remove_self());
        }
        let password_hash = match password {
            Some(password) => Some(self.passwords.hash(password).await?),
            None => None,
        };
        let (new_password, ends) = (password_hash.is_some(), password_hash.is_some() || role.is_some() || active.is_some());
        let named: Vec<&str> = [
            ("email", email.is_some()),
            ("username", username.is_some()),
            ("name", name.is_some()),
            ("role", role.is_some()),
            ("active", active.is_some()),
            ("password", new_password),
        ]
        .into_iter()
        .filter_map(|(field, given)| given.then_some(field))
        .collect();
        let mut tx = self.tenants.begin(caller.tenant).await?;
        if user.role == UserRole::Owner && (role.is_some() || active == Some(false)) {
            must_leave_an_owner(&mut tx, caller, user.id).await?;
        }
        users::hold_role(&mut tx, caller.tenant, user.id, user.role).await?;
        let signs_in_otherwise = new_password || email.is_some() || username.is_some();
        if !own && signs_in_otherwise && users::is_platform_operator(&mut tx, caller.tenant, user.id).await? {
            return Err(operators_own());
        }
        let changes = UserChanges { email, username, name, role, active, password_hash };
        let after = users::update(&mut tx, caller.tenant, user.id, &changes).await.map_err(taken)?;
        let after = after.ok_or_else(|| ApiError::not_found("User"))?;
        let ended = if ends {
            let why = if new_password { Ended::PasswordChanged } else { Ended::UserChanged };
            sessions::end_all(&mut tx, caller.tenant, user.id, why, own.then_some(caller.session)).await?
        } else {
            Vec::new()
        };
        let act = Act { detail: Some(json!({"changed": named})), ..caller.act("user.update", user.id) };
        audit::note(&mut tx, caller.tenant, &act).await?;
        tx.commit().await?;
        self.sessions.forget(ended);
        if own {
            // The caller's own session lives on, with what has changed.
            self.sessions.forget([caller.session]);
        }
        Ok(after)
    }

    /// Removes a user; what they made stays.
    pub(crate) async fn delete_user(&self, caller: &Caller, user: &User) -> Result<(), ApiError> {
        must_manage(caller, user.role)?;
        if user.id == caller.user {
            return Err(cannot_remove_self());
        }
        let mut tx = self.tenants.begin(caller.tenant).await?;
        if user.role == UserRole::Owner {
            must_leave_an_owner(&mut tx, caller, user.id).await?;
        }
        users::hold_role(&mut tx, caller.tenant, user.id, user.role).await?;
        let ended = sessions::end_all(&mut tx, caller.tenant, user.id, Ended::UserChanged, None).await?;
        if !users::delete(&mut tx, caller.tenant, user.id).await? {
            return Err(ApiError::not_found("User"));
        }
        audit::note(&mut tx, caller.tenant, &caller.act("user.delete", user.id)).await?;
        tx.commit().await?;
        self.sessions.forget(ended);
        Ok(())
    }
}

/// Writes a user that [`App::prepare_user`] made ready.
pub(crate) async fn create_user(conn: &mut PgConnection, caller: &Caller, new: &NewUser) -> Result<User, ApiError> {
    let user = users::create(conn, caller.tenant, new).await.map_err(taken)?;
    audit::note(conn, caller.tenant, &caller.act("user.create", user.id)).await?;
    Ok(user)
}

fn must_manage(caller: &Caller, role: UserRole) -> Result<(), ApiError> {
    match (caller.role, role) {
        (UserRole::Owner, _) | (UserRole::Admin, UserRole::Admin | UserRole::Agent) => Ok(()),
        (UserRole::Admin, UserRole::Owner) => Err(ApiError::forbidden("Only an owner may do this to an owner")),
        (UserRole::Agent, _) => Err(ApiError::forbidden("Only an owner or admin may do this")),
    }
}

async fn must_leave_an_owner(conn: &mut PgConnection, caller: &Caller, leaving: UserId) -> Result<(), ApiError> {
    if users::another_owner(conn, caller.tenant, leaving).await? {
        Ok(())
    } else {
        Err(ApiError::conflict("last_owner", "This is the only owner: make somebody else an owner first"))
    }
}

fn operators_own() -> ApiError {
    ApiError::forbidden("This user is an operator of the platform: ask them to change their e-mail, username or password themselves")
}

fn cannot_remove_self() -> ApiError {
    ApiError::new(StatusCode::CONFLICT, "own_account", "You cannot do this to your own account: ask another admin")
}
