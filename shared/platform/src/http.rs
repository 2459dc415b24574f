//! The HTTP client for calls to others. Every call has a time limit, and no redirect is followed: where we call is our decision.

use std::time::Duration;

/// For connecting, and for a whole call.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
const IDLE_AT_MOST: Duration = Duration::from_secs(15);

/// Makes a client; one is enough for a process.
pub fn client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .connect_timeout(CONNECT_WITHIN)
        .timeout(ANSWER_WITHIN)
        // Sooner than servers close them: a connection that is closed while a request is on its way loses the answer.
        .pool_idle_timeout(IDLE_AT_MOST)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("switchboard/", env!("CARGO_PKG_VERSION")))
        .build()
}
