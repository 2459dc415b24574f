//! The published contracts, as their frontends use them.

mod sign_in;
