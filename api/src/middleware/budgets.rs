//! Which limit holds where.

use super::rate_limit::Budget;
use crate::{App, auth::Caller};

/// Of a user, on all contracts' routes but `platform`'s.
pub(crate) fn user(app: &App, caller: &Caller) -> Budget {
    Budget::per_minute(caller.actor.to_string(), app.rate_limits.user)
}

/// Of an address, for wrong secrets: of the `operator`, or of a `service`.
pub(crate) fn secret(app: &App, whose: &str, address: &str) -> Budget {
    Budget::per_minute(format!("sign-in:{whose}:{address}"), app.rate_limits.sign_in)
}

/// How many requests a tenant may make at once on `platform`'s routes, beyond its rate.
const PLATFORM_BURST: u32 = 100;

/// Of a tenant, on `platform`'s routes.
pub(crate) fn platform(app: &App, caller: &Caller) -> Budget {
    let per_minute = app.rate_limits.platform;
    Budget { key: format!("tenant:{}", caller.tenant), per_minute, burst: per_minute.max(PLATFORM_BURST) }
}
