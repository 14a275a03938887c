//! The cascade as text for Graphviz, from dependency to caller like the picture.

use std::fmt::Write as _;

use super::frame::{cause, provenance};
use super::palette::Palette;
use super::shapes::StateLook as _;
use crate::prose::format;
use crate::report::CascadeReport;
use crate::report::cascade::{BoxState, EdgeKind};

const STRING: &str = "a string takes all text";

/// The cascade in the DOT language.
pub fn cascade_dot(cascade: &CascadeReport) -> String {
    let title = cause(&cascade.targets, cascade.mode, &cascade.change);
    let note = provenance(cascade.trials, cascade.seed);
    let counts = super::cascade::counts(cascade);
    let left_out = super::cascade::left_out(cascade).unwrap_or_default();
    let label = quoted(format!("{title}\n{note}\n{counts}\n{left_out}").trim_end());
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
        let said = super::cascade::state(item, cascade);
        let name = super::cascade::box_name(item);
        let name = item.rank.map_or_else(|| name.clone(), |rank| format!("{rank} {name}"));
        let label = quoted(&format!("{name}\n{said}"));
        let hint = quoted(item.title.as_ref().unwrap_or(&item.name));
        writeln!(
            text,
            "  n{index} [label={label}, tooltip={hint}, style=\"{style}\", penwidth={width}, \
             fillcolor=\"{}\", fontcolor=\"{}\", color=\"{}\"]",
            state.fill().light(),
            state.text().light(),
            Palette::Outline.light()
        )
        .expect(STRING);
    }
    for edge in &cascade.edges {
        let (from, to) = (edge.from, edge.to);
        if edge.kind == EdgeKind::Degraded {
            let color = Palette::Outline.light();
            writeln!(text, "  n{from} -> n{to} [style=dotted, color=\"{color}\"]").expect(STRING);
        } else if edge.passed >= cascade.threshold {
            let label = quoted(&match edge.kind {
                EdgeKind::RunsIn => "runs here".to_owned(),
                EdgeKind::Load => "floods".to_owned(),
                _ => percent(edge.passed),
            });
            let width = format!("{:.1}", 1.0 + 3.0 * edge.passed);
            writeln!(
                text,
                "  n{from} -> n{to} [label={label}, penwidth={width}, color=\"{}\", fontcolor=\"{}\"]",
                Palette::Spread.light(),
                Palette::SpreadText.light()
            )
            .expect(STRING);
        }
        if let Some(held) = edge.strongest_guard(cascade.threshold) {
            let label = quoted(&super::cascade::guard_caption(held));
            writeln!(
                text,
                "  n{from} -> n{to} [label={label}, style=dashed, arrowhead=tee, color=\"{}\", fontcolor=\"{}\"]",
                Palette::Guard.light(),
                Palette::GuardText.light()
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
pub(super) fn quoted(text: &str) -> String {
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
