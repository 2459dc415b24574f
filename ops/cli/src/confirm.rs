//! Asking before an act on many things.

use crate::{console, error::CliError};
use std::io::IsTerminal;

/// Up to here nobody is asked.
const FEW: u64 = 100;

/// Asks on a terminal if there are many. Elsewhere many need `--yes`.
pub(crate) fn many(count: u64, what: &str, yes: bool) -> Result<(), CliError> {
    if yes || count <= FEW {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(CliError::NotConfirmed(format!("{count} {what}: repeat with --yes")));
    }
    console::note(&format!("{count} {what}. Go on? [y/N]"));
    let mut answer = String::new();
    match std::io::stdin().read_line(&mut answer) {
        Ok(_) if matches!(answer.trim(), "y" | "Y" | "yes") => Ok(()),
        _ => Err(CliError::NotConfirmed("not confirmed".to_owned())),
    }
}
