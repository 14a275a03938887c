//! Section on the protections that kept failure from callers, and on calls without any.

use super::Page;
use super::emphasis::{Emphasis, StyledLine, shorten_text, text_columns};
use crate::prose::format;
use crate::prose::simulation::{self, ContainedCall};
use crate::report::Report;

/// How many calls are shown of either kind.
const HELD_MAX: usize = 5;
const UNHELD_MAX: usize = 3;

/// Adds the section where failure came to a call at all.
pub(super) fn add_guards(page: &mut Page, report: &Report) {
    let held = simulation::contained_calls(report);
    let unheld = simulation::uncontained_calls(report);
    if held.is_empty() && unheld.is_empty() {
        return;
    }
    page.add_head("What contained it", "as a share of simulations");
    let rows: Vec<[String; 3]> =
        held.iter().take(HELD_MAX).map(|held| guard_row(page, held)).collect();
    add_rows(page, &rows);
    if held.len() > HELD_MAX {
        let more = format::plural(held.len() - HELD_MAX, "more call");
        page.add_paragraph(Emphasis::Faint, "  ", &format!("and at {more}"));
    }
    if !unheld.is_empty() {
        let calls: Vec<String> = unheld
            .iter()
            .map(|unheld| {
                let call = page.wording.call(&unheld.caller, &unheld.dependency);
                format!("{call} {}", format::percent(unheld.passed))
            })
            .collect();
        let calls = format::list(&calls, "and", UNHELD_MAX);
        page.add_notice(Emphasis::Doubtful, "  nothing contained it", &format!("at {calls}"));
    }
}

fn guard_row(page: &Page, held: &ContainedCall<'_>) -> [String; 3] {
    let call = page.wording.call(&held.at.caller, &held.at.dependency);
    let passed = held.at.passed;
    let passed = if passed > 0.0 {
        format!("propagated {}", format::percent(passed))
    } else {
        String::new()
    };
    [call, held.guards.clone(), passed]
}

/// In columns where they fit, else one after the other.
fn add_rows(page: &mut Page, rows: &[[String; 3]]) {
    let width = |column: usize, most: usize| {
        rows.iter().map(|row| text_columns(&row[column])).max().unwrap_or(0).min(most)
    };
    // A name takes at most half of the page, so that the figures stay in view.
    let call = width(0, page.style.width / 2);
    let guards = width(1, usize::MAX);
    let passed = width(2, usize::MAX);
    let fits = 2 + call + 2 + guards + 2 + passed <= page.style.width;
    for [name, held, through] in rows {
        // What does not fit beside each other is said in sentences, since a cut figure is worse
        // than a long line.
        if !fits {
            let dot = page.glyphs.dot;
            let gap = if through.is_empty() { String::new() } else { format!(" {dot} ") };
            page.add_paragraph(Emphasis::Plain, "  ", &format!("{name}: {held}{gap}{through}"));
            continue;
        }
        let name = shorten_text(name, call, page.glyphs.ellipsis);
        let mut line = StyledLine::of_piece(Emphasis::Plain, "  ");
        let rest = call - text_columns(&name);
        line.push_piece(Emphasis::Plain, name).push_blanks(rest + 2);
        line.push_piece(Emphasis::Good, held.clone()).push_blanks(guards - text_columns(held) + 2);
        line.push_piece(Emphasis::Faint, through.clone());
        page.add_line(&line);
    }
}
