//! The agent platform contract. Its error body also answers for paths that no contract owns.

mod dialect;

use super::Contract;

pub(super) const CONTRACT: Contract = Contract { name: "platform", paths: &[], error_body: dialect::error_body };
