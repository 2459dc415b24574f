//! A database per test, cloned from a template that is migrated once per run.

use super::{OTHER_PHONE_NUMBER_ID, PHONE_NUMBER_ID};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgPool, Row, postgres::PgPoolOptions};
use std::time::Duration;
use uuid::Uuid;

/// A test's own database.
pub(crate) struct Database {
    pub(crate) url: String,
    pool: PgPool,
}

impl Database {
    /// In the Postgres that `ops/test` provides.
    pub(crate) async fn create() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the one setting of the tests")]
        let server = std::env::var("TEST_DATABASE_URL").expect("TEST_DATABASE_URL is set: run the tests with ops/test");
        Self::create_on(&server).await
    }

    /// On the server of `url`.
    pub(crate) async fn create_on(url: &str) -> Self {
        let mut admin = PgConnection::connect(url).await.expect("the test Postgres answers");
        let template = template(&mut admin, url).await;
        let name = format!("test_{}", Uuid::now_v7().simple());
        admin.execute(AssertSqlSafe(format!("CREATE DATABASE {name} TEMPLATE {template}"))).await.expect("create a database");
        let url = with_name(url, &name);
        let pool = PgPoolOptions::new().max_connections(3).acquire_timeout(Duration::from_secs(5)).connect_lazy(&url).unwrap();
        Self { url, pool }
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    pub(crate) async fn run(&self, sql: &str) {
        self.pool.execute(AssertSqlSafe(sql.to_owned())).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    pub(crate) async fn count(&self, sql: &str) -> i64 {
        self.pool.fetch_one(AssertSqlSafe(sql.to_owned())).await.unwrap_or_else(|error| panic!("{sql}: {error}")).get(0)
    }

    /// The same, while the database may be away.
    pub(crate) async fn try_count(&self, sql: &str) -> Option<i64> {
        self.pool.fetch_one(AssertSqlSafe(sql.to_owned())).await.ok().map(|row| row.get(0))
    }

    /// The first column of all rows.
    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        let rows = self.pool.fetch_all(AssertSqlSafe(sql.to_owned())).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        rows.iter().map(|row| row.get::<Option<String>, _>(0).unwrap_or_else(|| "NULL".to_owned())).collect()
    }

    pub(crate) async fn text(&self, sql: &str) -> String {
        self.texts(sql).await.into_iter().next().unwrap_or_else(|| panic!("no row: {sql}"))
    }
}

/// The migrated database that tests are cloned from: made by whichever test comes first.
async fn template(admin: &mut PgConnection, url: &str) -> &'static str {
    const NAME: &str = "switchboard_template";
    admin.execute("SELECT pg_advisory_lock(7001)").await.expect("lock");
    let ready: bool = admin
        .fetch_one("SELECT EXISTS (SELECT FROM pg_database WHERE datname = 'switchboard_template' AND datistemplate)")
        .await
        .expect("look for the template")
        .get(0);
    if !ready {
        admin.execute("DROP DATABASE IF EXISTS switchboard_template").await.expect("drop a half-made template");
        admin.execute("CREATE DATABASE switchboard_template").await.expect("create the template");
        let pool = PgPool::connect(&with_name(url, NAME)).await.expect("connect to the template");
        store::migrate(&pool).await.expect("migrate");
        pool.execute(AssertSqlSafe(format!(
            "INSERT INTO tenants (store_name) VALUES ('First'), ('Second');
             INSERT INTO channel_instances (tenant_id, type, external_id, name, status) VALUES
               (1, 'WHATSAPP', '{PHONE_NUMBER_ID}', 'first', 'CONNECTED'), (2, 'WHATSAPP', '{OTHER_PHONE_NUMBER_ID}', 'second', 'CONNECTED');"
        )))
        .await
        .expect("two tenants");
        pool.close().await;
        admin
            .execute("UPDATE pg_database SET datistemplate = true WHERE datname = 'switchboard_template'")
            .await
            .expect("mark the template");
    }
    admin.execute("SELECT pg_advisory_unlock(7001)").await.expect("unlock");
    NAME
}

fn with_name(url: &str, name: &str) -> String {
    let (server, options) = url.split_once('?').map_or((url, String::new()), |(server, options)| (server, format!("?{options}")));
    let base = server.rfind('/').filter(|at| !server[..*at].ends_with('/')).map_or(server, |at| &server[..at]);
    format!("{base}/{name}{options}")
}
