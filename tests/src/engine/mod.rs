//! The job engine, tried with probes: jobs that do what they are told.

mod crashes;
mod life_cycle;
mod order;
