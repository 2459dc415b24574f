//! All kinds by name, for whoever looks at jobs without running them: which queue they are of, and what their arguments must be.

use crate::{
    BatchJob, Job,
    close_unfinished::CloseUnfinished,
    connect_channel::ConnectChannel,
    copy_media::CopyMedia,
    expire_override::ExpireOverride,
    import_contacts::ImportContacts,
    ingest_document::IngestDocument,
    look_up_profile::LookUpProfile,
    probe::Probe,
    process_webhook::ProcessWebhook,
    queue,
    resume_webhooks::ResumeWebhooks,
    run_auto_reply::RunAutoReply,
    send_outbound::SendOutbound,
    templates::{DeleteTemplate, SubmitTemplate, SyncTemplates},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

/// A kind of job.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    pub name: &'static str,
    pub queue: &'static str,
    check: fn(&Value) -> Result<(), String>,
}

impl Kind {
    const fn of<J: Job>() -> Self {
        Self { name: J::KIND, queue: J::POLICY.queue, check: check::<J> }
    }

    /// Fails, saying why, if these are not arguments of the kind.
    pub fn check(&self, args: &Value) -> Result<(), String> {
        (self.check)(args)
    }
}

fn check<T: DeserializeOwned>(args: &Value) -> Result<(), String> {
    T::deserialize(args).map(drop).map_err(|error| error.to_string())
}

/// Every kind. A test of the workers' registry holds the two against each other.
pub const ALL: &[Kind] = &[
    Kind { name: ProcessWebhook::KIND, queue: ProcessWebhook::POLICY.queue, check: check::<ProcessWebhook> },
    Kind::of::<SendOutbound>(),
    Kind::of::<RunAutoReply>(),
    Kind::of::<ExpireOverride>(),
    Kind::of::<ConnectChannel>(),
    Kind::of::<LookUpProfile>(),
    Kind::of::<CopyMedia>(),
    Kind::of::<SubmitTemplate>(),
    Kind::of::<DeleteTemplate>(),
    Kind::of::<SyncTemplates>(),
    Kind::of::<ImportContacts>(),
    Kind::of::<IngestDocument>(),
    Kind::of::<ResumeWebhooks>(),
    Kind::of::<CloseUnfinished>(),
    Kind::of::<Probe>(),
];

/// Finds a kind by name.
pub fn find(name: &str) -> Option<&'static Kind> {
    ALL.iter().find(|kind| kind.name == name)
}

/// The queue of a kind.
pub fn queue_of(name: &str) -> Option<&'static str> {
    find(name).map(|kind| kind.queue)
}

/// Fails, with a sentence for people, unless `what` names something that can be paused: `queue:NAME`, `kind:KIND`, `tenant:ID`, `channel:UUID`,
/// `worker:NAME`.
pub fn pausable(what: &str) -> Result<(), String> {
    let list = |names: Vec<&str>| names.join(", ");
    match what.split_once(':') {
        Some(("queue", name)) if queue::find(name).is_none() => {
            Err(format!("there is no queue {name}; there are: {}", list(queue::ALL.iter().map(|queue| queue.name).collect())))
        }
        Some(("kind", name)) if find(name).is_none() => {
            Err(format!("there is no kind {name}; there are: {}", list(ALL.iter().map(|kind| kind.name).collect())))
        }
        Some(("tenant", id)) if !id.parse::<i32>().is_ok_and(|number| number > 0 && number.to_string() == id) => {
            Err(format!("a tenant is named by its number, not {id}"))
        }
        Some(("channel", id)) if id.parse::<Uuid>().map_or(true, |uuid| uuid.to_string() != id) => {
            Err(format!("a channel is named by its id in lower case, not {id}"))
        }
        Some(("worker", name)) if name.is_empty() || name.contains(':') || name.len() > 200 => {
            Err("a worker is named by its name without the process id".to_owned())
        }
        Some(("queue" | "kind" | "tenant" | "channel" | "worker", _)) => Ok(()),
        _ => Err(format!("{what} is none of queue:NAME, kind:KIND, tenant:ID, channel:UUID, worker:NAME")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_there_can_be_is_paused() {
        let id = "0190f3a0-0000-7000-8000-000000000001";
        for good in ["queue:webhooks", "kind:probe", "tenant:7", "worker:host", &format!("channel:{id}")] {
            assert_eq!(pausable(good), Ok(()), "{good}");
        }
        for bad in [
            "webhooks",
            "queue:webhook",
            "kind:",
            "tenant:x",
            "tenant:-1",
            "tenant:07",
            "channel:7",
            "worker:",
            "worker:a:1",
            "planet:mars",
            "",
        ] {
            pausable(bad).unwrap_err();
        }
    }
}
