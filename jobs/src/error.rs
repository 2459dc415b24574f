//! How a run can fail, by what shall happen next.

use ai::AiError;
use domain::JobId;
use serde_json::{Value, json};
use std::time::Duration;
use store::{StoreError, ledger::Burial};

/// How long is waited when a model is busy and does not say how long.
const BUSY: Duration = Duration::from_secs(5);
/// The longest that it is believed.
const LONGEST_BUSY: Duration = Duration::from_mins(10);

/// Why a run did not end well. `Fail` is the default choice; retrying must be argued.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// It may go better later, by the kind's back-off. Costs an attempt.
    #[error("{message}")]
    Retry { class: &'static str, message: String },
    /// It may go better, but not before `delay`: somebody said so (`Retry-After`). Costs an attempt.
    #[error("{message}")]
    RetryAfter { delay: Duration, class: &'static str, message: String },
    /// It will never go better: a dead letter.
    #[error("{message}")]
    Fail { class: &'static str, message: String },
    /// Not now: a pause, a limit, a turn to wait for. Costs nothing.
    #[error("snoozed for {0:?}")]
    Snooze(Duration),
    /// The same, for a reason that people may want to know: the job keeps it, and how long it has waited by now.
    #[error("{reason}")]
    Wait {
        delay: Duration,
        reason: String,
        /// This is time in which it should have gone: see [`crate::JobContext::waited`].
        counts: bool,
    },
    /// Not the job's fault: the database was away or busy. Costs nothing.
    #[error(transparent)]
    Surroundings(StoreError),
    /// The job was rescued meanwhile and belongs to somebody else; its effects are rolled back.
    #[error("the job belongs to somebody else now")]
    Fenced,
}

impl JobError {
    pub fn retry(class: &'static str, message: impl Into<String>) -> Self {
        Self::Retry { class, message: message.into() }
    }

    pub fn fail(class: &'static str, message: impl Into<String>) -> Self {
        Self::Fail { class, message: message.into() }
    }

    /// This error as a row of the job's history: what and when, never more than two thousand characters of it.
    pub fn describe(&self, attempt: i16) -> Value {
        // Bounded: a message may quote a whole statement.
        let message: String = self.to_string().chars().take(2_000).collect();
        let class = self.class();
        let Self::Wait { delay, counts, .. } = self else {
            return json!({"class": class, "message": message, "attempt": attempt});
        };
        let waited = if *counts { delay.as_secs_f64() } else { 0.0 };
        json!({"class": class, "message": message, "attempt": attempt, "waited_s": waited})
    }

    /// The dead letter that job `id` of `kind` becomes with this error.
    pub fn burial(&self, id: JobId, kind: &str, attempt: i16) -> Burial {
        Burial { id, fingerprint: format!("{kind}:{}", self.class()), error: self.describe(attempt) }
    }

    /// The class of the error: what dead letters are grouped by, with the kind.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Retry { class, .. } | Self::RetryAfter { class, .. } | Self::Fail { class, .. } => class,
            Self::Snooze(_) => "snoozed",
            Self::Wait { .. } => "waiting",
            Self::Surroundings(_) => "surroundings",
            Self::Fenced => "fenced",
        }
    }
}

impl JobError {
    /// What a model's trouble means. `None`: asking it again ends the same.
    pub(crate) fn of_model(error: &AiError) -> Option<Self> {
        let message = error.to_string();
        match error {
            AiError::Busy { retry_after, .. } => {
                Some(Self::RetryAfter { delay: retry_after.unwrap_or(BUSY).min(LONGEST_BUSY), class: "model_busy", message })
            }
            AiError::Unavailable(_) => Some(Self::retry("model_unavailable", message)),
            AiError::Refused(_) | AiError::Unusable(_) => None,
        }
    }
}

impl From<StoreError> for JobError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) | StoreError::Conflict(_) | StoreError::Stale(_) => Self::Surroundings(error),
            StoreError::Fenced => Self::Fenced,
            StoreError::Data(_) => Self::fail("refused_by_database", error.to_string()),
            // While versions roll over, code and schema may not fit for a moment: worth a few attempts.
            StoreError::Defect(_) | StoreError::Migration(_) => Self::retry("database_defect", error.to_string()),
        }
    }
}
