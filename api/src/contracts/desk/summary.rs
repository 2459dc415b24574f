//! The figures of the dashboard.

use crate::prelude::*;
use store::{calendar_events, messages, tickets, users};

/// Figures of a tenant, exact at once.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Summary {
    users_count: i64,
    tickets: TicketCounts,
    /// Appointments that start from now on.
    upcoming_events: i64,
    /// Customers' messages since a person last answered in, or marked as read, their conversation.
    unread_messages: i64,
}

#[derive(Debug, Serialize, ToSchema)]
struct TicketCounts {
    open: i64,
    in_progress: i64,
    closed: i64,
}

/// Figures for the dashboard
#[endpoint]
pub(super) async fn summary(app: App, caller: Caller) -> Result<Ok200<Summary>, ApiError> {
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let [open, in_progress, closed] = tickets::by_status(&mut tx, caller.tenant).await?;
    Ok200::new(&Summary {
        users_count: users::count(&mut tx, caller.tenant).await?,
        tickets: TicketCounts { open, in_progress, closed },
        upcoming_events: calendar_events::upcoming(&mut tx, caller.tenant).await?,
        unread_messages: messages::count_unread(&mut tx, caller.tenant).await?,
    })
}
