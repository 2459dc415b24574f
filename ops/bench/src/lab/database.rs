//! The run's own database on the caller's Postgres server, and one connection to it.

use crate::processes;
use crate::stored::Channel;
use crate::workload::Outbound;
use anyhow::{Context, Result, bail};
use tokio_postgres::{Client, Config, NoTls};

const SEED_OUTBOUND: &str = include_str!("../../sql/seed_outbound.sql");

pub struct Database {
    pub url: String,
    pub client: Client,
}

impl Database {
    pub async fn create(admin_url: &str, name: &str) -> Result<Self> {
        let admin = connect(&admin_url.parse().context("--pg")?).await?;
        admin.batch_execute(&format!("CREATE DATABASE {name}")).await.with_context(|| format!("creating the database {name}"))?;
        let url = with_database(admin_url, name)?;
        let client = connect(&url.parse()?).await?;
        Ok(Self { url, client })
    }

    pub async fn drop_if_exists(admin_url: &str, name: &str) -> Result<()> {
        let admin = connect(&admin_url.parse()?).await?;
        admin.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await.with_context(|| format!("dropping {name}"))
    }

    pub fn config(&self) -> Result<Config> {
        Ok(self.url.parse()?)
    }

    pub async fn setting(&self, name: &str) -> Result<String> {
        Ok(self.client.query_one("SELECT current_setting($1)", &[&name]).await?.try_get(0)?)
    }

    /// The postmaster, if it runs on this machine: the parent of our own backend.
    pub async fn server_pid(&self) -> Result<Option<u32>> {
        let backend: i32 = self.client.query_one("SELECT pg_backend_pid()", &[]).await?.try_get(0)?;
        Ok(processes::parent_running(u32::try_from(backend)?, "postgres"))
    }

    pub async fn channel(&self, phone_number_id: &str) -> Result<Channel> {
        let row = self
            .client
            .query_one("SELECT tenant_id, id FROM channel_instances WHERE type = 'WHATSAPP' AND external_id = $1", &[&phone_number_id])
            .await
            .with_context(|| format!("there is no channel with phone number id {phone_number_id}"))?;
        Ok(Channel { tenant_id: row.try_get(0)?, id: row.try_get(1)? })
    }

    /// Stores messages of the business as sent, waiting for their receipts.
    pub async fn seed_outbound(&self, messages: &[Outbound]) -> Result<()> {
        self.client.batch_execute("CREATE TEMPORARY TABLE outbound_seed (wamid text, phone_number_id text, wa_id text, name text)").await?;
        for chunk in messages.chunks(5_000) {
            let column = |of: fn(&Outbound) -> &str| chunk.iter().map(of).collect::<Vec<&str>>();
            self.client
                .execute(
                    "INSERT INTO outbound_seed SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])",
                    &[&column(|m| &m.wamid), &column(|m| &m.phone_number_id), &column(|m| &m.wa_id), &column(|m| &m.name)],
                )
                .await?;
        }
        self.client.batch_execute(SEED_OUTBOUND).await.context("seeding outbound messages")?;
        let stored: i64 = self.client.query_one("SELECT count(*) FROM chat_messages", &[]).await?.try_get(0)?;
        anyhow::ensure!(usize::try_from(stored)? == messages.len(), "{stored} of {} outbound messages were seeded", messages.len());
        Ok(())
    }
}

async fn connect(config: &Config) -> Result<Client> {
    let (client, connection) = config.connect(NoTls).await.context("connecting to Postgres")?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            eprintln!("the connection to Postgres ended: {error}");
        }
    });
    Ok(client)
}

/// The same address with another database.
fn with_database(url: &str, name: &str) -> Result<String> {
    let (base, query) = url.split_once('?').map_or((url, None), |(base, query)| (base, Some(query)));
    let Some((scheme, rest)) = base.split_once("://") else { bail!("--pg must be a postgres:// address") };
    let authority = rest.split('/').next().unwrap_or(rest);
    Ok(format!("{scheme}://{authority}/{name}{}", query.map(|query| format!("?{query}")).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_everything_but_its_database() {
        let cases = [
            ("postgres://u:p@h:1/postgres", "postgres://u:p@h:1/new"),
            ("postgres://u@h", "postgres://u@h/new"),
            ("postgres://h/a?host=/tmp/x", "postgres://h/new?host=/tmp/x"),
        ];
        for (given, expected) in cases {
            assert_eq!(with_database(given, "new").unwrap(), expected);
        }
        assert!(with_database("host=x", "new").is_err());
    }
}
