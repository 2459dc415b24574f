//! Which of our numbers a body is for. Runs on every webhook before it is stored: one pass, nothing but the ids is looked at.

use super::{OBJECT, templates, wire::RouteBody};
use crate::{ParseError, lenient_json::Readable};
use std::collections::HashSet;

/// The distinct `phone_number_id`s in the body, in its order; of what concerns a template the account's id. Empty if it names neither
/// (account updates) or belongs to another of Meta's products.
pub fn route(body: &[u8]) -> Result<Vec<String>, ParseError> {
    let readable = Readable::new(body)?;
    let body: RouteBody<'_> = readable.read()?;
    let mut ids = Vec::new();
    if body.object.string().is_some_and(|object| object != OBJECT) {
        return Ok(ids);
    }
    for (entry, change) in body.entry.iter().flat_map(|entry| entry.changes.iter().map(move |change| (entry, change))) {
        let number = change.value.metadata.phone_number_id.id();
        if let Some(id) = number.or_else(|| templates::account(&change.field.string()?, entry.id))
            && ids.last() != Some(&id)
        {
            ids.push(id);
        }
    }
    // Nearly always one. A hostile body may name tens of thousands, so they are not compared each with each.
    if ids.len() > 1 {
        let mut seen = HashSet::with_capacity(ids.len());
        ids.retain(|id| seen.insert(id.clone()));
    }
    Ok(ids)
}
