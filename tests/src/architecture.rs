//! Structure of the repository.
