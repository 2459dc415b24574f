//! Whole paths through the product.
