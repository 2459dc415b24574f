//! What the tool prints: steps, the lines of child processes with their names in front, tables. A reader that went
//! away (`| head`) is no error.

use std::io::{IsTerminal, Write};

/// Colours of process names, in turn.
const COLOURS: [&str; 6] = ["36", "33", "32", "35", "34", "31"];

/// Prints a line to standard output.
pub(crate) fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Prints a line to standard error: progress, and what went wrong.
pub(crate) fn note(text: &str) {
    // Nobody is left to tell.
    writeln!(std::io::stderr().lock(), "{text}").ok();
}

/// The lines of child processes and of their supervisor. It goes on when its reader went away: stopping is for signals.
#[derive(Clone, Debug)]
pub(crate) struct Console {
    colour: bool,
    width: usize,
}

impl Console {
    /// `no_color`: the user asked for none (<https://no-color.org>). `width`: of the longest name.
    pub(crate) fn new(no_color: bool, width: usize) -> Self {
        Self { colour: !no_color && std::io::stdout().is_terminal(), width }
    }

    /// A line that a process wrote.
    pub(crate) fn process(&self, name: &str, number: usize, text: &str) {
        let width = self.width;
        let colour = COLOURS.get(number % COLOURS.len()).copied().unwrap_or("0");
        let named = if self.colour { format!("\x1b[{colour}m{name:<width$} |\x1b[0m {text}") } else { format!("{name:<width$} | {text}") };
        self.plain(&named);
    }

    /// A step of the supervisor.
    pub(crate) fn step(&self, name: &str, text: &str) {
        let width = self.width;
        self.plain(&if self.colour { format!("\x1b[1m{name:<width$}\x1b[0m   {text}") } else { format!("{name:<width$}   {text}") });
    }

    #[expect(clippy::unused_self, reason = "a method, so that all of a run's lines go through the console")]
    pub(crate) fn plain(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{text}").and_then(|()| out.flush()).ok();
    }
}

/// Prints rows under headings, each column as wide as its widest cell.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) {
    let widths: Vec<usize> = headings
        .iter()
        .enumerate()
        .map(|(column, heading)| {
            rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).chain([heading.len()]).max().unwrap_or(0)
        })
        .collect();
    let render = |cells: &mut dyn Iterator<Item = &str>| -> String {
        let padded: Vec<String> = cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    line(&render(&mut headings.iter().copied()));
    for row in rows {
        line(&render(&mut row.iter().map(String::as_str)));
    }
}
