//! An agent thinks: its model is asked, uses tools, asks colleagues of its team, and says something in the form that it must have. Nothing here is written
//! to the conversation: what comes of it is up to the job.

mod colleagues;
mod format;
mod prompt;
mod source;
mod thinker;

pub(crate) use colleagues::Team;
pub use format::check_schema as check_answer_schema;
pub(crate) use format::read;
pub(crate) use prompt::{MOST_MESSAGES, compose, last_words};
pub use source::Prices;
pub(crate) use source::{Source, over_budget};
pub(crate) use thinker::{Answer, Thinker, Thought, Took};
