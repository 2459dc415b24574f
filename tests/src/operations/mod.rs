//! The operators' pages at `/ops` and their API, as operators use them.

mod browser;
mod client;
mod control;
mod dead_letters;
mod figures;
mod history;
mod incidents;
mod jobs;
mod journey;
mod monitoring;
mod sign_in;
mod webhooks;
