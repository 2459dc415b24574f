//! What moves on a page, as it moves: server-sent events whose data is the HTML of one part of the page.

use super::{acts, gate::Viewer, job, overview, session};
use crate::{ApiError, App, reply::EventStream};
use bytes::Bytes;
use domain::JobId;
use futures::{Stream, stream};
use salvo::{Depot, Request, Writer, handler};
use std::{convert::Infallible, time::Duration};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

/// How often it is looked for something new.
const EVERY: Duration = Duration::from_secs(1);
/// How often it is made sure that whoever watches still may.
const STILL_IN: Duration = Duration::from_secs(15);
/// A page that is left open for longer asks again.
const LONGEST: Duration = Duration::from_hours(1);

/// What a page shows.
#[derive(Clone, Copy, Debug)]
enum Part {
    Overview,
    Job(JobId),
    Act(Uuid),
}

struct Watching {
    app: App,
    viewer: Viewer,
    token: String,
    part: Part,
    began: Instant,
    checked: Instant,
    last: String,
}

/// `/ops/live`, `/ops/live?job=ID`, `/ops/live?act=ID`.
#[handler]
pub(super) async fn watch(req: &mut Request, depot: &mut Depot, viewer: Viewer) -> Result<EventStream, ApiError> {
    let app = App::of(depot)?;
    let token = super::form::cookie(req.headers(), session::COOKIE).unwrap_or_default().to_owned();
    let part = match (req.query::<Uuid>("job"), req.query::<Uuid>("act")) {
        (Some(id), _) => Part::Job(JobId(id)),
        (None, Some(id)) => Part::Act(id),
        (None, None) => Part::Overview,
    };
    let now = Instant::now();
    Ok(EventStream::new(parts(Watching { app, viewer, token, part, began: now, checked: now, last: String::new() })))
}

fn parts(watching: Watching) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
    stream::unfold(Some(watching), |watching| async move {
        let mut watching = watching?;
        if !watching.last.is_empty() {
            let mut stopping = watching.app.stopping.subscribe();
            tokio::select! {
                () = sleep(EVERY) => {}
                _ = stopping.wait_for(|stopping| *stopping) => return None,
            }
        }
        if watching.began.elapsed() > LONGEST || !watching.may_go_on().await {
            return None;
        }
        let event = match watching.look().await {
            Some(html) if html != watching.last => {
                watching.last = html;
                EventStream::event("part", &watching.last)
            }
            _ => EventStream::heartbeat(),
        };
        Some((Ok(event), Some(watching)))
    })
}

impl Watching {
    /// Does the session live? While the database is away nobody is sent away.
    async fn may_go_on(&mut self) -> bool {
        if self.checked.elapsed() < STILL_IN {
            return true;
        }
        self.checked = Instant::now();
        !matches!(session::find(&self.app, &self.token, false).await, Ok(None))
    }

    /// The part as it is now. `None`: it cannot be told, or is gone.
    async fn look(&self) -> Option<String> {
        let markup = match self.part {
            Part::Overview => overview::fragment(&*self.app.pulse.read().await.ok()?),
            Part::Job(id) => job::state(&job::find(&self.app, id).await.ok()?),
            Part::Act(id) => acts::state(&acts::find(&self.app, id).await.ok()?, &self.viewer),
        };
        Some(markup.into_string())
    }
}
