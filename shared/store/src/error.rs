//! What can go wrong in the database, sorted by what the caller can do about it.

use sqlx::postgres::{PgDatabaseError, PgSeverity};

/// Errors of every function of this crate.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Postgres cannot be reached, is shutting down, or has no connection left. Nothing is wrong with the request: try again.
    #[error("the database is not available: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// This transaction lost against another one (deadlock, serialization, lock time-out). Run it again.
    #[error("the transaction must be run again: {0}")]
    Conflict(#[source] sqlx::Error),
    /// Postgres refused the values themselves (SQLSTATE class 22 or 23): the same data will be refused again.
    #[error("the database refused the data: {0}")]
    Data(#[source] sqlx::Error),
    /// A job was settled by somebody else (it was rescued meanwhile): its effects are rolled back.
    #[error("the job belongs to somebody else now")]
    Fenced,
    /// What a cache said is no longer true; read again and repeat.
    #[error("{0} changed meanwhile")]
    Stale(&'static str),
    /// A migration failed.
    #[error("migration failed: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// A defect of ours: a statement that does not fit the schema, a value that cannot be decoded.
    #[error("database defect: {0}")]
    Defect(#[source] sqlx::Error),
}

impl StoreError {
    /// The database did not answer at all.
    pub fn silence() -> Self {
        Self::Unavailable(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))
    }

    /// The constraint that the data violates, if that is what is wrong: its name says which value is taken or points nowhere.
    pub fn violated(&self) -> Option<&str> {
        match self {
            Self::Data(error) => error.as_database_error()?.constraint(),
            _ => None,
        }
    }

    /// True if the statement ran longer than its transaction allows.
    pub fn timed_out(&self) -> bool {
        matches!(self, Self::Unavailable(error) if error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("57014")))
    }

    /// True if the same call can succeed later without any change: the database was away or busy.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Conflict(_) | Self::Stale(_))
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        let code = match &error {
            E::Database(database) => database.code().map(std::borrow::Cow::into_owned),
            E::Io(_) | E::Tls(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed | E::Protocol(_) => return Self::Unavailable(error),
            _ => return Self::Defect(error),
        };
        // What ends a connection says nothing about the data: also "role does not exist", before the first migration.
        if is_fatal(&error) {
            return Self::Unavailable(error);
        }
        // https://www.postgresql.org/docs/15/errcodes-appendix.html
        match code.as_deref() {
            Some(c) if c.starts_with("08") || c.starts_with("53") || c.starts_with("57P") || c == "25P03" || c == "57014" => {
                Self::Unavailable(error)
            }
            Some("40001" | "40P01" | "55P03" | "25006") => Self::Conflict(error),
            // 23514 on a partitioned table also means "no partition for this row": partitions are made ahead, so it is data.
            Some(c) if c.starts_with("22") || c.starts_with("23") || c == "54000" => Self::Data(error),
            _ => Self::Defect(error),
        }
    }
}

fn is_fatal(error: &sqlx::Error) -> bool {
    let severity = error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>()).map(PgDatabaseError::severity);
    matches!(severity, Some(PgSeverity::Fatal | PgSeverity::Panic))
}
