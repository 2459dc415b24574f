//! Chat on a website: saying something, and waiting for what the agent answers. What is said and answered is in Postgres; who waits only watches.

mod ears;
mod gate;
mod token;
mod turn;

pub(crate) use ears::Ears;
pub(crate) use gate::{ChatGate, Visitor, WidgetOnly, check_origin, token_of};
pub(crate) use token::WidgetClaims;
pub(crate) use turn::{Step, Turn};
