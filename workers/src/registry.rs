//! The kinds of jobs that workers run. A new kind is its folder in `jobs/src`, one line here, and one in `jobs::kinds`.

use jobs::{
    Handler,
    close_unfinished::CloseUnfinished,
    connect_channel::ConnectChannel,
    copy_media::CopyMedia,
    expire_override::ExpireOverride,
    import_contacts::ImportContacts,
    ingest_document::IngestDocument,
    look_up_profile::LookUpProfile,
    probe::Probe,
    process_webhook::ProcessWebhook,
    resume_webhooks::ResumeWebhooks,
    run_auto_reply::RunAutoReply,
    send_outbound::SendOutbound,
    templates::{DeleteTemplate, SubmitTemplate, SyncTemplates},
};

/// All kinds. `probes`: also the one for trying the engine.
pub(crate) fn handlers(probes: bool) -> Vec<Handler> {
    let mut handlers = vec![
        Handler::batch::<ProcessWebhook>(),
        Handler::single::<SendOutbound>(),
        Handler::single::<RunAutoReply>(),
        Handler::single::<ExpireOverride>(),
        Handler::single::<ConnectChannel>(),
        Handler::single::<LookUpProfile>(),
        Handler::single::<CopyMedia>(),
        Handler::single::<SubmitTemplate>(),
        Handler::single::<DeleteTemplate>(),
        Handler::single::<SyncTemplates>(),
        Handler::single::<ImportContacts>(),
        Handler::single::<IngestDocument>(),
        Handler::single::<ResumeWebhooks>(),
        Handler::single::<CloseUnfinished>(),
    ];
    if probes {
        handlers.push(Handler::single::<Probe>());
    }
    handlers
}

#[cfg(test)]
mod tests {
    use super::handlers;

    #[test]
    fn kinds_that_can_be_looked_at_are_those_that_can_be_run() {
        let run: Vec<_> = handlers(true).iter().map(|handler| (handler.kind, handler.policy.queue)).collect();
        let known: Vec<_> = jobs::kinds::ALL.iter().map(|kind| (kind.name, kind.queue)).collect();
        assert_eq!(run, known);
    }
}
