//! Forms that a page sends, and what is remembered for the next page.

use super::gate::Viewer;
use crate::{ApiError, request::read_limited};
use salvo::{
    Request, Response,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE},
    },
};

/// The largest form: arguments of a job that are edited.
const MOST_BYTES: usize = 256 * 1024;
/// What was done, for the next page.
const SAID: &str = "switchboard_ops_said";

/// The fields of a form.
#[derive(Debug, Default)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads the form of somebody who may act and whose page it comes from.
    pub(super) async fn of_actor(req: &mut Request, viewer: &Viewer) -> Result<Self, ApiError> {
        let form = Self::read(req).await?;
        viewer.must_act()?;
        if !viewer.sent(form.get("csrf").unwrap_or_default()) {
            return Err(ApiError::forbidden("This form is not one of your session: load the page again"));
        }
        Ok(form)
    }

    pub(super) async fn read(req: &mut Request) -> Result<Self, ApiError> {
        let content_type = req.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !content_type.starts_with("application/x-www-form-urlencoded") {
            return Err(ApiError::from_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        let bytes = read_limited(req, MOST_BYTES).await?;
        let fields: Vec<(String, String)> = form_urlencoded::parse(&bytes).into_owned().collect();
        if fields.iter().any(|(_, value)| value.contains('\0')) {
            return Err(ApiError::invalid_field("", "Text must not contain the character U+0000"));
        }
        Ok(Self(fields))
    }

    /// A field that is not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.typed(name).map(str::trim).filter(|value| !value.is_empty())
    }

    /// A field as it was typed.
    fn typed(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Why, in the operator's words.
    pub(super) fn reason(&self) -> Option<String> {
        self.get("reason").map(|reason| reason.chars().take(500).collect())
    }

    /// A field that must be there.
    pub(super) fn need(&self, name: &'static str) -> Result<&str, ApiError> {
        self.get(name).ok_or_else(|| ApiError::invalid_field(name, "must not be empty"))
    }

    /// A field that is a whole number within these bounds.
    pub(super) fn number(&self, name: &'static str, (least, most): (i64, i64)) -> Result<i64, ApiError> {
        let number = self.need(name)?.parse().ok().filter(|number: &i64| (least..=most).contains(number));
        number.ok_or_else(|| ApiError::invalid_field(name, format!("must be a whole number from {least} to {most}")))
    }
}

/// What a form is filled with: nothing, or what was typed when it was refused, so that it is shown again with the error beside it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Draft<'a>(Option<(&'a Form, &'a ApiError)>);

impl<'a> Draft<'a> {
    pub(super) fn refused(form: &'a Form, error: &'a ApiError) -> Self {
        Self(Some((form, error)))
    }

    /// The same, if the form was one of these acts; else nothing.
    pub(super) fn of(self, acts: &[&str]) -> Self {
        Self(self.0.filter(|(form, _)| form.get("act").is_some_and(|act| acts.contains(&act))))
    }

    /// Why it was refused.
    pub(super) fn error(self) -> Option<&'a ApiError> {
        self.0.map(|(_, error)| error)
    }

    /// What was typed in a field.
    pub(super) fn typed(self, name: &str) -> Option<&'a str> {
        self.0.and_then(|(form, _)| form.typed(name))
    }

    pub(super) fn is_refused(self) -> bool {
        self.0.is_some()
    }
}

/// Goes to `path` (one of ours) and says there what was done.
pub(super) fn go(res: &mut Response, path: &str, said: &str) {
    res.status_code(StatusCode::SEE_OTHER);
    let headers = res.headers_mut();
    if let Ok(location) = HeaderValue::from_str(path) {
        headers.insert(LOCATION, location);
    }
    if !said.is_empty() {
        let said: String = form_urlencoded::byte_serialize(said.as_bytes()).collect();
        if let Ok(cookie) = HeaderValue::from_str(&format!("{SAID}={said}; Path=/ops; Max-Age=20; HttpOnly; SameSite=Strict")) {
            headers.append(SET_COOKIE, cookie);
        }
    }
}

/// What was done on the page before; it is said once.
pub(super) fn said(req: &Request, res: &mut Response) -> Option<String> {
    let said = cookie(req.headers(), SAID)?.to_owned();
    res.headers_mut()
        .append(SET_COOKIE, HeaderValue::from_static("switchboard_ops_said=; Path=/ops; Max-Age=0; HttpOnly; SameSite=Strict"));
    form_urlencoded::parse(format!("said={said}").as_bytes()).next().map(|(_, text)| text.chars().take(500).collect())
}

/// The value of a cookie.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let pairs = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';'));
    pairs.filter_map(|pair| pair.trim().split_once('=')).find(|(known, _)| *known == name).map(|(_, value)| value)
}
