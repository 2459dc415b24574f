//! The WhatsApp business contract.

mod dialect;

use super::Contract;

pub(super) const CONTRACT: Contract = Contract { name: "cloud", paths: &["/api/webhook"], error_body: dialect::error_body };
