//! Tests of the whole product: real processes, real HTTP, real Postgres, real Redis. Run them with `ops/test`.
#![cfg(test)]

mod architecture;
mod contracts;
mod engine;
mod faults;
mod flows;
mod harness;
mod operations;
mod plans;
