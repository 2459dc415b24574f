//! What each documented kind of update becomes, hostile ones, the recorded ones, and sending.

mod sending;
mod updates;
