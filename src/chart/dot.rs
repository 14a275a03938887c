//! The cascade as text for Graphviz, from dependency to caller like the picture.

use std::fmt::Write as _;

use super::frame::{cause, provenance};
use super::ink::Ink;
use super::shapes::State;
use crate::prose::format;
use crate::report::FocusReport;

const STRING: &str = "a string takes all text";

/// The cascade in the DOT language.
pub fn dot(focus: &FocusReport) -> String {
    let title = cause(&focus.targets, focus.mode.as_deref(), &focus.change);
    let label = quoted(&format!("{title}\n{}", provenance(focus.trials, focus.seed)));
    let mut text = format!(
        "digraph blastwave {{\n  graph [rankdir=LR, labelloc=t, label={label}, fontname=\"DejaVu Sans\", nodesep=0.25, ranksep=0.9]\n  \
         node [shape=box, style=\"filled,rounded\", fontname=\"DejaVu Sans\", fontsize=11]\n  \
         edge [fontname=\"DejaVu Sans\", fontsize=10]\n"
    );
    for (index, it) in focus.boxes.iter().enumerate() {
        let state = State::of(&it.state);
        let style =
            if state == State::Degrades { "filled,rounded,dashed" } else { "filled,rounded" };
        let width = if state == State::Origin { 3 } else { 1 };
        let said = super::cascade::state(it, focus);
        let label = quoted(&format!("{} {}\n{said}", it.rank, it.name));
        let hint = quoted(it.title.as_ref().unwrap_or(&it.name));
        writeln!(
            text,
            "  n{index} [label={label}, tooltip={hint}, style=\"{style}\", penwidth={width}, \
             fillcolor=\"{}\", fontcolor=\"{}\", color=\"{}\"]",
            state.fill().light(),
            state.text().light(),
            Ink::Outline.light()
        )
        .expect(STRING);
    }
    for edge in &focus.edges {
        let (from, to) = (edge.from, edge.to);
        if edge.kind == "degraded" {
            let color = Ink::Outline.light();
            writeln!(text, "  n{from} -> n{to} [style=dotted, color=\"{color}\"]").expect(STRING);
        } else if edge.passed >= focus.threshold {
            let label = quoted(&match edge.kind.as_str() {
                "runs_in" => "runs here".to_owned(),
                "load" => "floods".to_owned(),
                _ => percent(edge.passed),
            });
            let width = format!("{:.1}", 1.0 + 3.0 * edge.passed);
            writeln!(
                text,
                "  n{from} -> n{to} [label={label}, penwidth={width}, color=\"{}\", fontcolor=\"{}\"]",
                Ink::Spread.light(),
                Ink::SpreadText.light()
            )
            .expect(STRING);
        }
        if let Some(held) = edge.guard(focus.threshold) {
            let label = quoted(&format!("{} held {}", held.guard, percent(held.share)));
            writeln!(
                text,
                "  n{from} -> n{to} [label={label}, style=dashed, arrowhead=tee, color=\"{}\", fontcolor=\"{}\"]",
                Ink::Guard.light(),
                Ink::GuardText.light()
            )
            .expect(STRING);
        }
    }
    text.push_str("}\n");
    text
}

pub(super) fn percent(share: f64) -> String {
    format::percent((share * 100.0).round() / 100.0)
}

/// A text between quotes; `\n` breaks the line.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            letter if letter.is_control() => quoted.push('\u{FFFD}'),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}
