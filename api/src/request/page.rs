//! Limits and offsets of lists.

use crate::ApiError;

/// Items in a list unless the request says otherwise.
pub(crate) const DEFAULT_LIMIT: i64 = 50;
/// More are never answered at once; a larger limit means this one.
pub(crate) const MAX_LIMIT: i64 = 200;
/// Skipping costs time for each row that is skipped; whoever needs more should filter.
const MAX_OFFSET: i64 = 100_000;

/// How many items, from a request's `limit`.
pub(crate) fn limit(given: Option<i64>) -> Result<i64, ApiError> {
    match given {
        Some(limit) if limit < 1 => Err(ApiError::invalid_field("limit", "must be at least 1")),
        Some(limit) => Ok(limit.min(MAX_LIMIT)),
        None => Ok(DEFAULT_LIMIT),
    }
}

/// How many items to skip, from a request's `offset`.
pub(crate) fn offset(given: Option<i64>) -> Result<i64, ApiError> {
    match given.unwrap_or(0) {
        offset if offset < 0 => Err(ApiError::invalid_field("offset", "must not be negative")),
        offset if offset > MAX_OFFSET => Err(ApiError::invalid_field("offset", "is beyond 100000: use a filter instead")),
        offset => Ok(offset),
    }
}
