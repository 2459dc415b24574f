//! Whole paths through the product: a signed webhook in, rows in Postgres out.

mod ingest;
