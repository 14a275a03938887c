//! One trial, step by step, in words.

use super::emphasis::{Emphasis, StyledLine};
use super::{Page, TextStyle};
use crate::prose::format;
use crate::report::TrialTrace;
use crate::report::trial_trace::{StateReport, StepReport};

/// How many states of services and of flows are shown of one step.
const STATES_MAX: usize = 4;
/// How wide a bar is that shows how requests end.
const CELLS: usize = 12;

/// The trace of a trial as lines of text, the last one with its newline.
pub fn render_trial(trial: &TrialTrace, style: &TextStyle) -> String {
    let mut page = Page::new(*style);
    let late = trial.orders_late.filter(|late| *late >= 1.0);
    let late = late.map_or_else(String::new, |late| format!(", {} late", format::digits(late, 3)));
    let lost = trial.orders_lost.map_or_else(String::new, |lost| {
        format!(": {} orders lost{late}", format::digits(lost, 3))
    });
    page.add_paragraph(
        Emphasis::Strong,
        "",
        &format!("Trial {}{lost}", format::count(trial.trial as f64)),
    );
    for step in &trial.steps {
        page.add_gap();
        add_step(&mut page, step);
    }
    page.text
}

fn add_step(page: &mut Page, step: &StepReport) {
    let dash = page.glyphs.dash;
    let (from, until) = (format::duration(step.from_s), format::duration(step.until_s));
    let mut head = StyledLine::of_piece(Emphasis::Strong, format!("{from} {dash} {until}"));
    let exposure = format::percent(step.exposure);
    head.push_blanks(2).push_piece(Emphasis::Faint, format!("{exposure} have the change"));
    if let Some(lost) = step.orders_lost.filter(|lost| *lost > 0.0) {
        head.push_blanks(2)
            .push_piece(Emphasis::Bad, format!("{} orders lost", format::digits(lost, 3)));
    }
    page.add_line(&head);
    for event in &step.events {
        let start = format!("  {} ", page.glyphs.bullet);
        let event = page.shown_name(event);
        page.add_paragraph(Emphasis::Plain, &start, &event);
    }
    // Flows come first: they are what people notice.
    for states in [&step.flows, &step.services] {
        for state in states.iter().take(STATES_MAX) {
            add_state(page, state);
        }
        let more = states.len().saturating_sub(STATES_MAX);
        if more > 0 {
            page.add_paragraph(
                Emphasis::Faint,
                "    ",
                &format!("and {} more", format::count(more as f64)),
            );
        }
    }
    for overload in &step.overloads {
        let service = page.shown_name(&overload.service);
        let (load, capacity) =
            (format::digits(overload.load, 3), format::digits(overload.capacity, 3));
        let lost = format::percent(overload.lost);
        let text = format!(
            "{service} gets {load} times its normal load and can serve {capacity}: {lost} is lost"
        );
        page.add_notice(Emphasis::Doubtful, "    overload", &text);
    }
}

/// `    ████▒▒░░░░░░ place-order  40% down, 12% degraded`.
fn add_state(page: &mut Page, state: &StateReport) {
    // Shares may add up to slightly more than 1 by rounding.
    let bad = state.failing_share().min(1.0);
    let bar = page.glyphs.share_bar(bad, (bad + state.degraded).min(1.0), CELLS);
    let shares = [
        (state.slow, "slow"),
        (state.down, "down"),
        (state.corrupt, "wrong"),
        (state.degraded, "degraded"),
        (state.late, "late"),
    ];
    let shares = shares.into_iter().filter(|(share, _)| *share > 0.0);
    let shares: Vec<String> =
        shares.map(|(share, word)| format!("{} {word}", format::percent(share))).collect();
    let name = page.shown_name(&state.name);
    let name = super::emphasis::shorten_text(&name, page.style.width / 2, page.glyphs.ellipsis);
    let mut line = StyledLine::of_piece(Emphasis::Plain, "    ");
    line.append_line(bar)
        .push_blanks(1)
        .push_piece(Emphasis::Plain, name)
        .push_blanks(2)
        .push_piece(Emphasis::Faint, shares.join(", "));
    page.add_line(&line);
}
