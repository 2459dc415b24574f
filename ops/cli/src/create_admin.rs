//! `switchboard create-admin`: a user who may do everything in a tenant, made from outside: the first of a new tenant, or one more.

use crate::{console, error::CliError, random_secret, settings::Settings};
use domain::{TenantId, UserId, UserRole, contact_details};
use platform::{Secret, passwords};
use serde_json::json;
use std::io::{IsTerminal, Read};
use store::{
    PgConnection, StoreError, audit,
    audit::Act,
    operator::sessions,
    operator_jobs::Actor,
    sign_in::{self, Login},
    tenants::{self, TenantRow},
    users::{self, NewUser},
};

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("where").args(["tenant", "tenant_name"])))]
pub(crate) struct CreateAdminArgs {
    /// What the person signs in with
    #[arg(long)]
    email: String,
    /// The person's name (the e-mail's first part unless given)
    #[arg(long)]
    name: Option<String>,
    /// An existing tenant: its integer id or its UUID
    #[arg(long, value_name = "ID")]
    tenant: Option<String>,
    /// A new tenant, of which the person becomes the owner
    #[arg(long, value_name = "NAME")]
    tenant_name: Option<String>,
    /// In an existing tenant: an owner instead of an admin
    #[arg(long, conflicts_with = "tenant_name")]
    owner: bool,
    /// The person may also see the operators' pages and API, of all tenants: to act, or to look only; `none` takes that away. Of somebody who is a user already
    /// this is all that is changed, and no tenant is named
    #[arg(long, value_name = "ROLE")]
    platform: Option<PlatformRole>,
    /// Read the password from standard input; otherwise one is made and printed
    #[arg(long)]
    password_stdin: bool,
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum PlatformRole {
    Operator,
    Viewer,
    None,
}

impl PlatformRole {
    /// `None`: they may not even look.
    fn may_act(self) -> Option<bool> {
        match self {
            Self::Operator => Some(true),
            Self::Viewer => Some(false),
            Self::None => None,
        }
    }
}

/// Gives a user a role on the platform, or takes it away, and notes it.
async fn appoint(conn: &mut PgConnection, actor: &Actor, (tenant, user): (TenantId, UserId), role: PlatformRole) -> Result<(), StoreError> {
    let (act, may_act) = match role.may_act() {
        Some(may_act) => {
            sessions::appoint(conn, tenant, user, may_act).await?;
            ("operator.appoint", may_act)
        }
        None => match sessions::dismiss(conn, tenant, user).await? {
            Some(might_act) => ("operator.dismiss", might_act),
            None => return Ok(()),
        },
    };
    let subject = json!({"user": user, "role": if may_act { "operator" } else { "viewer" }});
    sessions::note(conn, actor, act, &subject).await
}

/// Changes what somebody who is a user already is on the platform.
async fn change(args: &CreateAdminArgs, email: &str, settings: &Settings) -> Result<(), CliError> {
    let role = args.platform.ok_or_else(|| CliError::Usage("name a tenant: --tenant ID, or --tenant-name NAME".to_owned()))?;
    let mut tx = settings.pool()?.begin().await.map_err(StoreError::from)?;
    let found = sign_in::find(&mut tx, Login::Name(email)).await?;
    let found = found.ok_or_else(|| CliError::Usage(format!("nobody has the e-mail {email}: name a tenant to make them a user of")))?;
    appoint(&mut tx, &settings.actor(), (found.tenant.id, found.user.id), role).await?;
    tx.commit().await.map_err(StoreError::from)?;
    if args.json {
        console::line(&json!({"user_id": found.user.id, "email": email, "may_act": role.may_act()}).to_string());
    } else if role == PlatformRole::None {
        console::line(&format!("{email} is no operator of the platform"));
    } else {
        console::line(&format!("{email} may sign in at {}/ops", settings.public_url()));
    }
    Ok(())
}

pub(crate) async fn run(args: &CreateAdminArgs, settings: &Settings) -> Result<(), CliError> {
    let email =
        contact_details::email(&args.email).ok_or_else(|| CliError::Usage(format!("--email {} is not an e-mail address", args.email)))?;
    if args.tenant.is_none() && args.tenant_name.is_none() {
        return change(args, email, settings).await;
    }
    if args.platform == Some(PlatformRole::None) {
        return Err(CliError::Usage("--platform none is for somebody who is a user already: name no tenant".to_owned()));
    }
    let (password, made) = password(args.password_stdin)?;
    let hash = passwords::hash(&Secret::new(password.clone()))
        .map_err(|error| CliError::Usage(format!("the password cannot be hashed: {error}")))?;
    let name = args.name.clone().unwrap_or_else(|| email.split('@').next().unwrap_or_default().to_owned());
    let role = if args.owner || args.tenant_name.is_some() { UserRole::Owner } else { UserRole::Admin };
    let new = NewUser { email: Some(email.to_owned()), username: None, name, role, password_hash: Some(hash) };
    let taken = |error: StoreError| match error.violated() {
        Some("users_email") => CliError::Usage(format!("{email} is taken: choose another, or change that user")),
        _ => error.into(),
    };
    let mut tx = settings.pool()?.begin().await.map_err(StoreError::from)?;
    let (tenant, public_id, user) = if let Some(tenant_name) = &args.tenant_name {
        let (tenant, user) = sign_in::register(&mut tx, tenant_name.trim(), &new).await.map_err(taken)?;
        (tenant.id, tenant.public_id, user)
    } else {
        let wanted = args.tenant.as_deref().unwrap_or_default();
        let found = tenants::list(&mut tx, None).await?.into_iter().find(|row| is(row, wanted));
        let row = found.ok_or_else(|| CliError::Usage(format!("there is no tenant {wanted}: `--tenant-name` makes one")))?;
        let tenant = TenantId(row.id);
        (tenant, row.public_id, users::create(&mut tx, tenant, &new).await.map_err(taken)?)
    };
    let actor = settings.actor();
    audit::note(&mut tx, tenant, &Act { actor: &actor.name, act: "user.create", subject: Some(user.id.to_string()), detail: None }).await?;
    if let Some(role) = args.platform {
        appoint(&mut tx, &actor, (tenant, user.id), role).await?;
    }
    tx.commit().await.map_err(StoreError::from)?;
    let shown = made.then_some(password);
    if args.json {
        console::line(&json!({"user_id": user.id, "email": email, "role": role.as_str(), "tenant_id": tenant, "tenant_public_id": public_id, "password": shown}).to_string());
        return Ok(());
    }
    console::line(&format!("{} {email} of tenant {tenant} ({public_id})", role.as_str()));
    if let Some(password) = shown {
        console::line(&format!("password {password}"));
    }
    if args.platform.is_some() {
        console::line(&format!("operators' pages: {}/ops", settings.public_url()));
    }
    console::line(&format!("sign in: POST {}/api/auth/login {{\"email\", \"password\"}}", settings.public_url()));
    Ok(())
}

fn is(row: &TenantRow, wanted: &str) -> bool {
    row.id.to_string() == wanted || row.public_id.to_string().eq_ignore_ascii_case(wanted)
}

/// The password, and whether it was made here.
fn password(from_stdin: bool) -> Result<(String, bool), CliError> {
    if !from_stdin {
        return Ok((random_secret::make()?, true));
    }
    if std::io::stdin().is_terminal() {
        console::note("the password (it is shown; Ctrl-D ends it):");
    }
    let mut text = String::new();
    std::io::stdin()
        .take(4_096)
        .read_to_string(&mut text)
        .map_err(|source| CliError::Io { what: "reading the password".to_owned(), source })?;
    let text = text.trim_end_matches(['\r', '\n']).to_owned();
    passwords::check(&text).map_err(|problem| CliError::Usage(format!("the password {problem}")))?;
    Ok((text, false))
}
