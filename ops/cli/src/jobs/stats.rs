//! `switchboard jobs stats`.

use crate::{console, error::CliError};
use store::{PgPool, operator_jobs::QueueStats};

pub(super) async fn run(pool: &PgPool, json: bool) -> Result<(), CliError> {
    let queues = store::operator_jobs::stats(pool).await?;
    if json {
        console::line(&serde_json::json!({ "queues": queues }).to_string());
        return Ok(());
    }
    let headings = ["QUEUE", "READY", "OLDEST", "DELAYED", "RUNNING", "LONGEST", "DEAD", "OLDEST DEAD", "DONE TODAY", "WORKERS", "PAUSED"];
    console::table(&headings, &queues.iter().map(row).collect::<Vec<_>>());
    Ok(())
}

fn row(queue: &QueueStats) -> Vec<String> {
    vec![
        queue.queue.clone(),
        queue.ready.to_string(),
        age(queue.oldest_ready_s),
        queue.delayed.to_string(),
        queue.running.to_string(),
        age(queue.longest_running_s),
        queue.dead.to_string(),
        age(queue.oldest_dead_s),
        queue.done_today.to_string(),
        queue.workers.to_string(),
        if queue.paused { "yes" } else { "no" }.to_owned(),
    ]
}

/// Seconds as people say them; `-` for none.
fn age(seconds: Option<f64>) -> String {
    match seconds.map(|s| s.max(0.0)) {
        None => "-".to_owned(),
        Some(s) if s < 10.0 => format!("{s:.1}s"),
        Some(s) if s < 120.0 => format!("{s:.0}s"),
        Some(s) if s < 7_200.0 => format!("{:.0}m", s / 60.0),
        Some(s) if s < 172_800.0 => format!("{:.0}h", s / 3_600.0),
        Some(s) => format!("{:.0}d", s / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::age;

    #[test]
    fn ages_are_short_at_every_size() {
        let shown: Vec<String> = [None, Some(-1.0), Some(3.21), Some(75.0), Some(600.0), Some(36_000.0), Some(864_000.0)].map(age).into();
        assert_eq!(shown, ["-", "0.0s", "3.2s", "75s", "10m", "10h", "10d"]);
    }
}
