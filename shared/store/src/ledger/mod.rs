//! The job ledger: every statement on `jobs`, `jobs_done`, `jobs_dead` that the engine uses. All take sets of jobs, so
//! the cost per job falls with the load. `jobs/README.md` has the state machine these statements implement.

mod claim;
mod depth;
mod enqueue;
mod feed;
mod rescue;
mod settle;
pub mod unfinished;
mod workers;

pub use claim::{ClaimedJob, Run, claim};
pub use depth::{DEPTH_CAP, Depth, dead_letters, depth, is_behind};
pub use enqueue::{NewJob, enqueue};
pub use feed::{FeedPosition, Lane, ReadyJob, SuspectJob, heads, lanes, last_position, promote_due, suspects};
pub use rescue::{Rescued, rescue};
pub use settle::{Burial, Delay, bury, cancel, complete, delay, hold, release};
pub use workers::{Held, WorkerRow, cancel_requests, heartbeat, held, live_slots, register_worker, running, unregister_worker};
