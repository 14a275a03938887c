//! The architecture as text: Mermaid, DOT, and lines for a terminal.

use std::fmt::Write as _;

use super::{Architecture, BoxShape};
use crate::chart::dot::quoted_text;
use crate::chart::mermaid::{
    BOXES_MAX, BYTES_MAX, LINKS_MAX, LimitedPart, TooLarge, check_limit, escaped_label, plain_text,
    yaml_scalar,
};

const STRING: &str = "a string takes all text";

/// Returns the architecture as a Mermaid flowchart.
///
/// # Errors
/// Where it is too large to be drawn.
pub fn architecture_mermaid(architecture: &Architecture) -> Result<String, TooLarge> {
    check_limit(LimitedPart::Boxes, architecture.boxes.len(), BOXES_MAX)?;
    check_limit(LimitedPart::Links, architecture.links.len(), LINKS_MAX)?;
    let (title, note) = (architecture.diagram_title(), architecture.extent_note());
    let mut text = format!(
        "---\ntitle: \"{}\"\nconfig:\n  layout: dagre\n  theme: base\n  look: classic\n---\n\
         flowchart LR\n  accTitle: {}\n  accDescr: {}\n",
        yaml_scalar(&title),
        plain_text(&title),
        plain_text(&note)
    );
    for (index, drawn) in architecture.boxes.iter().enumerate() {
        let (open, close, class) = match drawn.shape {
            BoxShape::Flow => ("([", "])", "flow"),
            BoxShape::Service => ("[", "]", "service"),
            BoxShape::External => ("[", "]", "external"),
            BoxShape::Group => ("[[", "]]", "group"),
        };
        let (name, detail) = (escaped_label(&drawn.name), escaped_label(&drawn.detail));
        writeln!(text, "  n{index}{open}\"{name}<br/>{detail}\"{close}:::{class}").expect(STRING);
    }
    for link in &architecture.links {
        let arrow = if link.is_soft { "-.->" } else { "-->" };
        writeln!(text, "  n{} {arrow} n{}", link.from, link.to).expect(STRING);
    }
    text.push_str(
        "  classDef flow fill:#1A1A1A,color:#FFFFFF,stroke:#5A5A5A\n  \
         classDef service fill:#F5F7F9,color:#1A1A1A,stroke:#5A5A5A\n  \
         classDef external fill:#FFFFFF,color:#1A1A1A,stroke:#5A5A5A,stroke-dasharray:5 3\n  \
         classDef group fill:#F5F7F9,color:#1A1A1A,stroke:#5A5A5A\n",
    );
    check_limit(LimitedPart::Bytes, text.len(), BYTES_MAX)?;
    Ok(text)
}

/// Returns the architecture as a graph for Graphviz.
pub fn architecture_dot(architecture: &Architecture) -> String {
    let title =
        quoted_text(&format!("{}\n{}", architecture.diagram_title(), architecture.extent_note()));
    let mut text = format!(
        "digraph blastwave {{\n  graph [rankdir=LR, labelloc=t, label={title}, fontname=\"DejaVu Sans\"]\n  \
         node [shape=box, style=filled, fillcolor=\"#F5F7F9\", fontname=\"DejaVu Sans\", fontsize=11]\n"
    );
    for (index, drawn) in architecture.boxes.iter().enumerate() {
        let name = quoted_text(&format!("{}\n{}", drawn.name, drawn.detail));
        let look = match drawn.shape {
            BoxShape::Flow => {
                ", style=\"filled,rounded\", fillcolor=\"#1A1A1A\", fontcolor=\"#FFFFFF\""
            }
            BoxShape::External => ", style=dashed",
            BoxShape::Group => ", peripheries=2",
            BoxShape::Service => "",
        };
        writeln!(text, "  n{index} [label={name}{look}]").expect(STRING);
    }
    for link in &architecture.links {
        let look = if link.is_soft { " [style=dashed]" } else { "" };
        writeln!(text, "  n{} -> n{}{look}", link.from, link.to).expect(STRING);
    }
    text.push_str("}\n");
    text
}

/// Returns the architecture as lines: each box, and what it depends on.
pub fn architecture_text(architecture: &Architecture) -> String {
    let mut text = format!("{}: {}\n\n", architecture.diagram_title(), architecture.extent_note());
    for (index, drawn) in architecture.boxes.iter().enumerate() {
        let called = architecture.links.iter().filter(|link| link.from == index);
        let names: Vec<String> = called
            .map(|link| {
                let name = &architecture.boxes[link.to].name;
                if link.is_soft { format!("({name})") } else { name.clone() }
            })
            .collect();
        let arrow = if names.is_empty() { "" } else { " -> " };
        writeln!(text, "{} [{}]{arrow}{}", drawn.name, drawn.detail, names.join(", "))
            .expect(STRING);
    }
    if architecture.links.iter().any(|link| link.is_soft) {
        text.push_str("\nIn brackets: the caller can do without it.\n");
    }
    text
}
