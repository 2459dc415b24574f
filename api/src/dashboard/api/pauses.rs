//! What is paused.

use super::{DoneView, checked_reason, done};
use crate::{
    dashboard::{control, gate::Viewer},
    prelude::*,
};
use serde_json::{Value, json};
use store::operator::pauses;

/// What is paused
#[endpoint]
pub(super) async fn list_pauses(app: App, _viewer: Viewer) -> Result<Ok200<Value>, ApiError> {
    Ok200::new(&json!({"pauses": pauses::list(&mut *app.operator_conn().await?).await?}))
}

/// Something to pause or resume.
#[derive(Debug, Deserialize, ToSchema)]
#[salvo(schema(example = json!({"what": "queue:outbound", "reason": "the provider asked us to"})))]
pub(super) struct PauseBody {
    /// `queue:NAME`, `kind:KIND`, `tenant:NUMBER`, `channel:UUID` or `worker:NAME`.
    #[salvo(schema(min_length = 1, max_length = 300))]
    what: String,
    /// Why; for the audit log.
    #[salvo(schema(max_length = 500))]
    reason: Option<String>,
}

impl PauseBody {
    fn checked(self) -> Result<(String, Option<String>), ApiError> {
        let mut fields = Fields::default();
        let what = fields.text(&self.what, "what", 300);
        let reason = checked_reason(self.reason, &mut fields);
        fields.finish()?;
        Ok((what, reason))
    }
}

/// Pause something; a worker is drained
///
/// 404 for a worker that was not heard of in the last hour, unless it is drained already; 400 for anything else that is not there. What is paused stays so
/// through restarts.
#[endpoint]
pub(super) async fn pause(app: App, viewer: Viewer, body: Body<PauseBody>) -> Result<Ok200<DoneView>, ApiError> {
    viewer.must_act()?;
    let (what, reason) = body.0.checked()?;
    let changed = control::pause(&app, &viewer.actor(reason), &what).await?;
    done(if changed { format!("paused {what}") } else { format!("{what} was paused already") })
}

/// Resume something
///
/// Also a worker that is down.
#[endpoint]
pub(super) async fn resume(app: App, viewer: Viewer, body: Body<PauseBody>) -> Result<Ok200<DoneView>, ApiError> {
    viewer.must_act()?;
    let (what, reason) = body.0.checked()?;
    let changed = control::resume(&app, &viewer.actor(reason), &what).await?;
    done(if changed { format!("resumed {what}") } else { format!("{what} was not paused") })
}
