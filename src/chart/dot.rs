//! The cascade as text for Graphviz, from dependency to caller like the picture.

use std::fmt::Write as _;

use super::frame::{cause_clause, provenance_note};
use super::palette::Palette;
use super::shapes::StateLook as _;
use crate::prose::format;
use crate::report::CascadeReport;
use crate::report::cascade::{BoxState, EdgeKind};

const STRING: &str = "a string takes all text";

/// The cascade in the DOT language.
pub fn cascade_dot(cascade: &CascadeReport) -> String {
    let title = cause_clause(&cascade.targets, cascade.mode, &cascade.change);
    let note = provenance_note(cascade.trials, cascade.seed);
    let counts = super::cascade::state_counts(cascade);
    let left_out = super::cascade::left_out(cascade).unwrap_or_default();
    let label = quoted_text(format!("{title}\n{note}\n{counts}\n{left_out}").trim_end());
    let mut text = format!(
        "digraph blastwave {{\n  graph [rankdir=LR, labelloc=t, label={label}, fontname=\"DejaVu Sans\", nodesep=0.25, ranksep=0.9]\n  \
         node [shape=box, style=\"filled,rounded\", fontname=\"DejaVu Sans\", fontsize=11]\n  \
         edge [fontname=\"DejaVu Sans\", fontsize=10]\n"
    );
    for (index, item) in cascade.boxes.iter().enumerate() {
        let state = item.state;
        let style =
            if state == BoxState::Degrades { "filled,rounded,dashed" } else { "filled,rounded" };
        let width = if state == BoxState::Origin { 3 } else { 1 };
        // The words are those of the picture, so that all formats say the same.
        let said = super::cascade::box_state(item, cascade);
        let name = super::cascade::box_name(item);
        let name = item.rank.map_or_else(|| name.clone(), |rank| format!("{rank} {name}"));
        let label = quoted_text(&format!("{name}\n{said}"));
        let hint = quoted_text(item.title.as_ref().unwrap_or(&item.name));
        writeln!(
            text,
            "  n{index} [label={label}, tooltip={hint}, style=\"{style}\", penwidth={width}, \
             fillcolor=\"{}\", fontcolor=\"{}\", color=\"{}\"]",
            state.fill_color().light_color(),
            state.text_color().light_color(),
            Palette::Outline.light_color()
        )
        .expect(STRING);
    }
    for edge in &cascade.edges {
        let (from, to) = (edge.from, edge.to);
        if edge.kind == EdgeKind::Degraded {
            let color = Palette::Outline.light_color();
            writeln!(text, "  n{from} -> n{to} [style=dotted, color=\"{color}\"]").expect(STRING);
        } else if edge.passed >= cascade.threshold {
            let label = quoted_text(&match edge.kind {
                EdgeKind::RunsIn => "runs here".to_owned(),
                EdgeKind::Load => "floods".to_owned(),
                _ => percent_text(edge.passed),
            });
            let width = format!("{:.1}", 1.0 + 3.0 * edge.passed);
            writeln!(
                text,
                "  n{from} -> n{to} [label={label}, penwidth={width}, color=\"{}\", fontcolor=\"{}\"]",
                Palette::Spread.light_color(),
                Palette::SpreadText.light_color()
            )
            .expect(STRING);
        }
        // An edge may pass failure in some trials and hold it in others, and then has two arrows.
        if let Some(held) = edge.strongest_guard(cascade.threshold) {
            let label = quoted_text(&super::cascade::guard_caption(held));
            writeln!(
                text,
                "  n{from} -> n{to} [label={label}, style=dashed, arrowhead=tee, color=\"{}\", fontcolor=\"{}\"]",
                Palette::Guard.light_color(),
                Palette::GuardText.light_color()
            )
            .expect(STRING);
        }
    }
    text.push_str("}\n");
    text
}

pub(super) fn percent_text(share: f64) -> String {
    format::percent((share * 100.0).round() / 100.0)
}

/// A text between quotes; `\n` breaks the line.
pub(super) fn quoted_text(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            // Control characters would break the file, and some of them change a terminal.
            letter if letter.is_control() => quoted.push('\u{FFFD}'),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}
