//! Bodies of the WhatsApp business contract that several resources share.

use crate::prelude::*;

/// Which part of a list this is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Pagination {
    page: i64,
    limit: i64,
    total: i64,
    total_pages: i64,
}

impl Pagination {
    pub(crate) fn new(page: &Page, total: i64) -> Self {
        let (total, limit) = (total.max(0), page.limit.max(1));
        Self { page: page.number, limit, total, total_pages: (total + limit - 1) / limit }
    }
}

/// A page that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    number: i64,
    pub limit: i64,
    pub offset: i64,
}

impl Page {
    /// From a request's `page` (1) and `limit`.
    pub(crate) fn of(page: Option<i64>, limit: Option<i64>) -> Result<Self, ApiError> {
        let limit = crate::request::limit(limit)?;
        let page = page.unwrap_or(1);
        if page < 1 {
            return Err(ApiError::invalid_field("page", "must be at least 1"));
        }
        let offset = (page - 1).checked_mul(limit).ok_or_else(|| ApiError::invalid_field("page", "is beyond the end of any list"))?;
        let offset =
            crate::request::offset(Some(offset)).map_err(|_| ApiError::invalid_field("page", "is too far: use a filter instead"))?;
        Ok(Self { number: page, limit, offset })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_counted_from_one_and_limits_are_clamped() {
        let page = |page, limit| Page::of(page, limit).map(|page| (page.limit, page.offset)).map_err(|error| error.message.into_owned());
        assert_eq!(page(None, None), Ok((50, 0)));
        assert_eq!(page(Some(3), Some(20)), Ok((20, 40)));
        assert_eq!(page(Some(1), Some(1_000_000_000)), Ok((200, 0)));
        for (number, limit) in [(Some(0), None), (Some(-1), None), (None, Some(0)), (Some(i64::MAX), None), (Some(100_000), None)] {
            assert!(page(number, limit).is_err(), "{number:?} {limit:?}");
        }
        let pagination = Pagination::new(&Page::of(Some(2), Some(50)).unwrap(), 101);
        assert_eq!((pagination.total, pagination.total_pages), (101, 3));
    }
}
