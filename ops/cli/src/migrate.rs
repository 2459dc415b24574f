//! `switchboard migrate`: brings the schema of any database up to date.

use crate::{console, error::CliError, settings::Settings};

pub(crate) async fn run(settings: &Settings) -> Result<(), CliError> {
    store::migrate(&settings.pool_as(store::Role::Owner)?).await?;
    console::note("the schema is up to date");
    Ok(())
}
