//! What every request passes through, in this order: panics are caught, the route answers, errors get their body.

mod errors;

use salvo::{Service, catch_panic::CatchPanic, catcher::Catcher};

/// Puts the stack around `service`.
pub(crate) fn around(service: Service, development: bool) -> Service {
    service.hoop(CatchPanic::new()).catcher(Catcher::new(errors::Errors { development }))
}
