//! The kinds of jobs that workers run. A new kind is its folder in `jobs/src` and one line here.

use jobs::{
    Handler, expire_override::ExpireOverride, import_contacts::ImportContacts, probe::Probe, process_webhook::ProcessWebhook,
    resume_webhooks::ResumeWebhooks, send_outbound::SendOutbound,
};

/// All kinds. `probes`: also the one for trying the engine.
pub(crate) fn handlers(probes: bool) -> Vec<Handler> {
    let mut handlers = vec![
        Handler::batch::<ProcessWebhook>(),
        Handler::single::<SendOutbound>(),
        Handler::single::<ExpireOverride>(),
        Handler::single::<ImportContacts>(),
        Handler::single::<ResumeWebhooks>(),
    ];
    if probes {
        handlers.push(Handler::single::<Probe>());
    }
    handlers
}
