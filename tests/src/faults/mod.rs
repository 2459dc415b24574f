//! Killing things under load.
