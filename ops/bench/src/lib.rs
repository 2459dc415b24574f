//! Measures Switchboard from outside: signed webhooks over HTTP in, rows in Postgres out. `README.md` says what each
//! scenario means. Nothing of the product is linked in, so the numbers are those of its release binaries.

pub mod exactness;
pub mod http;
pub mod lab;
pub mod load;
pub mod machine;
pub mod medians;
pub mod numbers;
pub mod processes;
pub mod provider;
pub mod report;
pub mod scenario;
pub mod stored;
pub mod workload;
