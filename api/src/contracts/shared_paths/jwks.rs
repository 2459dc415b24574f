//! The public keys of tokens.

use crate::prelude::*;
use serde_json::Value;

/// Keys as RFC 7517 has them; none while tokens are signed with a secret (HS256).
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Keys {
    #[salvo(schema(value_type = Vec<Object>))]
    keys: Vec<Value>,
}

/// The public keys of tokens
#[endpoint]
pub(super) async fn get_jwks(app: App) -> Result<Ok200<Keys>, ApiError> {
    let keys: Result<_, _> = app.tokens.jwks().keys.iter().map(serde_json::to_value).collect();
    Ok200::new(&Keys { keys: keys.map_err(|error| ApiError::internal(&error))? })
}
