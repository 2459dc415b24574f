//! What each documented event of Messenger and Instagram becomes, hostile ones, the recorded ones, and sending.

mod events;
mod sending;
