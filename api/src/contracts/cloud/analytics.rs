//! Figures, from the counts that are kept by day: exact at once, and as quick at ten million messages as at ten.

use super::dialect::Success;
use crate::prelude::*;
use chrono::{Datelike, Days, NaiveDate};
use std::collections::BTreeMap;
use store::{
    conversation_lists::{self, ListFilter},
    counts::{self, DayCount},
    messages::MessageFilter,
};

#[derive(Debug, Deserialize, ToParameters)]
#[salvo(parameters(default_parameter_in = Query))]
pub(super) struct OverviewQuery {
    /// How many days `dailyActivity` and `messagesByStatus` look back, today included.
    #[salvo(parameter(minimum = 1, maximum = 366))]
    days: Option<i64>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Analytics {
    overview: Overview,
    messages_by_status: ByStatus,
    daily_activity: Vec<Day>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Overview {
    /// Of all time, both ways.
    total_messages: i64,
    total_conversations: i64,
    /// Percent of the messages that a provider took in these days which reached the customer.
    delivery_rate: f64,
    sent_today: i64,
    /// Since Monday.
    sent_this_week: i64,
    sent_this_month: i64,
}

/// Outbound messages of these days. Each counts in every state that it has passed: one that was read was also sent and delivered.
#[derive(Debug, Default, Serialize, ToSchema)]
struct ByStatus {
    sent: i64,
    delivered: i64,
    read: i64,
    failed: i64,
}

#[derive(Debug, Serialize, ToSchema)]
struct Day {
    /// UTC.
    date: NaiveDate,
    sent: i64,
    received: i64,
}

const DEFAULT_DAYS: i64 = 30;
const MOST_DAYS: i64 = 366;

/// The overview
///
/// Days are UTC days of arrival.
#[endpoint]
pub(super) async fn get(app: App, caller: Caller, query: Query<OverviewQuery>) -> Result<Ok200<Success<Analytics>>, ApiError> {
    let days = query.0.days.unwrap_or(DEFAULT_DAYS);
    let back = u64::try_from(days - 1).ok().filter(|_| days <= MOST_DAYS);
    let back = back.ok_or_else(|| ApiError::invalid_field("days", "must be 1 to 366"))?;
    let today = app.clock.now().date_naive();
    let first = today - Days::new(back);
    let month = today.with_day(1).unwrap_or(today);
    let monday = today - Days::new(today.weekday().num_days_from_monday().into());

    let mut tx = app.tenants.begin(caller.tenant).await?;
    let measures = MessageFilter::default().measures();
    let recent = counts::by_day(&mut tx, caller.tenant, &measures, Some(first.min(month).min(monday))).await?;
    let total_messages = counts::total(&mut tx, caller.tenant, &measures).await?;
    let total_conversations = conversation_lists::count(&mut tx, caller.tenant, ListFilter::default()).await?;

    let sent_since = |day: NaiveDate| recent.iter().filter(|count| count.day >= day && is_sent(&count.measure)).map(|count| count.n).sum();
    let by_status = by_status(recent.iter().filter(|count| count.day >= first));
    let overview = Overview {
        total_messages,
        total_conversations,
        delivery_rate: percent(by_status.delivered, by_status.sent + by_status.failed),
        sent_today: sent_since(today),
        sent_this_week: sent_since(monday),
        sent_this_month: sent_since(month),
    };
    let daily_activity = daily(&recent, first, today);
    Ok200::new(&Success::new(Analytics { overview, messages_by_status: by_status, daily_activity }))
}

/// A provider has taken it.
fn is_sent(measure: &str) -> bool {
    matches!(measure, "message:outbound:sent" | "message:outbound:delivered" | "message:outbound:read")
}

fn by_status<'a>(counts: impl Iterator<Item = &'a DayCount>) -> ByStatus {
    let mut by_status = ByStatus::default();
    for count in counts {
        match count.measure.as_str() {
            "message:outbound:sent" => by_status.sent += count.n,
            "message:outbound:delivered" => {
                by_status.sent += count.n;
                by_status.delivered += count.n;
            }
            "message:outbound:read" => {
                by_status.sent += count.n;
                by_status.delivered += count.n;
                by_status.read += count.n;
            }
            "message:outbound:failed" => by_status.failed += count.n,
            _ => {}
        }
    }
    by_status
}

/// Every day, also those without messages.
fn daily(counts: &[DayCount], first: NaiveDate, today: NaiveDate) -> Vec<Day> {
    let mut days: BTreeMap<NaiveDate, (i64, i64)> = first.iter_days().take_while(|day| *day <= today).map(|day| (day, (0, 0))).collect();
    for count in counts {
        let Some((sent, received)) = days.get_mut(&count.day) else { continue };
        if is_sent(&count.measure) {
            *sent += count.n;
        } else if count.measure == "message:inbound:received" {
            *received += count.n;
        }
    }
    days.into_iter().map(|(date, (sent, received))| Day { date, sent, received }).collect()
}

/// With one digit behind the point; 0 of 0 is 0.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn percent(part: i64, whole: i64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 * 1_000.0 / whole as f64).round() / 10.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_counts_in_every_state_that_it_has_passed() {
        let counts = [("sent", 1), ("delivered", 2), ("read", 4), ("failed", 8), ("pending", 16)].map(|(status, n)| DayCount {
            measure: format!("message:outbound:{status}"),
            day: NaiveDate::MIN,
            n,
        });
        let by_status = by_status(counts.iter());
        assert_eq!((by_status.sent, by_status.delivered, by_status.read, by_status.failed), (7, 6, 4, 8));
    }

    #[test]
    fn percents_have_one_digit_and_nothing_of_nothing_is_none() {
        assert_eq!([percent(0, 0), percent(985, 1_000), percent(2, 3)].map(|percent| percent.to_string()), ["0", "98.5", "66.7"]);
    }
}
