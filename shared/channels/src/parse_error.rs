//! Why a body could not be read at all. It names places, never text: errors are logged and bodies are not.

/// The only reasons for which `route` and `parse` give up a whole body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    #[error("the webhook body is not UTF-8 after {valid_bytes} bytes")]
    NotUtf8 { valid_bytes: usize },
    #[error("the webhook body is not JSON: line {line}, column {column}")]
    NotJson { line: usize, column: usize },
    #[error("the webhook body is not a JSON object")]
    NotAnObject,
}

impl From<std::str::Utf8Error> for ParseError {
    fn from(error: std::str::Utf8Error) -> Self {
        Self::NotUtf8 { valid_bytes: error.valid_up_to() }
    }
}

impl From<serde_json::Error> for ParseError {
    fn from(error: serde_json::Error) -> Self {
        Self::NotJson { line: error.line(), column: error.column() }
    }
}
