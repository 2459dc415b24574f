//! Checking several fields and telling about all that are wrong at once.

use crate::{ApiError, error::FieldError};
use domain::contact_details::email;
use std::borrow::Cow;

/// Collects what is wrong.
#[derive(Debug, Default)]
pub(crate) struct Fields(Vec<FieldError>);

impl Fields {
    /// Notes that `field` is wrong.
    pub(crate) fn wrong(&mut self, field: impl Into<Cow<'static, str>>, problem: impl Into<Cow<'static, str>>) {
        self.0.push(FieldError { field: field.into(), problem: problem.into() });
    }

    /// Notes that `field` is wrong unless `good`.
    pub(crate) fn check(&mut self, good: bool, field: &'static str, problem: &'static str) {
        if !good {
            self.wrong(field, problem);
        }
    }

    /// `value`, or the note that `field` is wrong.
    pub(crate) fn need<T>(&mut self, value: Option<T>, field: &'static str, problem: &'static str) -> Option<T> {
        self.check(value.is_some(), field, problem);
        value
    }

    /// A text without the spaces around it, of 1 to `most` characters.
    pub(crate) fn text(&mut self, text: &str, field: &'static str, most: usize) -> String {
        let text = text.trim();
        if text.is_empty() {
            self.wrong(field, "must not be empty");
        } else if text.chars().count() > most {
            self.wrong(field, format!("must have at most {most} characters"));
        }
        text.to_owned()
    }

    /// An e-mail address.
    pub(crate) fn email(&mut self, text: &str, field: &'static str) -> Option<String> {
        self.need(email(text), field, "must be an e-mail address").map(str::to_owned)
    }

    /// A text of at most `most` characters.
    pub(crate) fn at_most(&mut self, text: Option<&str>, field: &'static str, most: usize) {
        if text.is_some_and(|text| text.chars().count() > most) {
            self.wrong(field, format!("must have at most {most} characters"));
        }
    }

    /// Up to 50 tags of 1 to 50 characters, without the spaces around them and each once.
    pub(crate) fn tags(&mut self, tags: &[String], field: &'static str) -> Vec<String> {
        let mut kept: Vec<String> = Vec::new();
        for tag in tags.iter().map(|tag| tag.trim()) {
            if tag.is_empty() || tag.chars().count() > 50 {
                self.wrong(field, "must be texts of 1 to 50 characters");
                break;
            }
            if !kept.iter().any(|known| known == tag) {
                kept.push(tag.to_owned());
            }
        }
        self.check(kept.len() <= 50, field, "must be at most 50");
        kept
    }

    /// An error if anything was wrong.
    pub(crate) fn finish(self) -> Result<(), ApiError> {
        if self.0.is_empty() { Ok(()) } else { Err(ApiError::invalid(self.0)) }
    }
}
