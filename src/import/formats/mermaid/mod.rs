//! Mermaid: flowcharts, C4 and architecture drawings, alone in a file or in blocks of Markdown.
//!
//! Other kinds of drawings (sequences, states, charts) are no topologies; they are counted and left out.

mod architecture;
mod flowchart;

use super::c4;
use super::drawing::Drawing;
use crate::diagnostic::Diagnostic;
use crate::import::graph::EvidenceGraph;
use crate::import::{Format, Input, not_of};

/// The kind of one drawing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MermaidKind {
    Flowchart,
    C4,
    Architecture,
    /// A kind that says nothing about services.
    Other,
}

/// A drawing within a file.
struct FencedBlock<'a> {
    text: &'a str,
    /// The line of the file at which it begins, from 0.
    line: usize,
}

/// Reads drawings.
pub(crate) fn read_drawings(
    input: &mut Input<'_>,
    graph: &mut EvidenceGraph,
) -> Result<(), Vec<Diagnostic>> {
    for path in input.files {
        let (_, text) = input.read_text(path)?;
        let blocks = fenced_blocks(&text);
        let (mut drawn, mut others) = (0, 0);
        // Unlike flowcharts, C4 drawings of one file refer to each other's boxes.
        let mut c4 = Drawing::default();
        for block in &blocks {
            let (kind, body, line) = parse_header(block);
            let drawing = match kind {
                MermaidKind::Flowchart => flowchart::parse_flowchart(body, line),
                MermaidKind::Architecture => architecture::parse_architecture(body, line),
                MermaidKind::C4 => {
                    c4::parse_macros(body, line, &mut c4);
                    drawn += 1;
                    continue;
                }
                MermaidKind::Other => {
                    others += 1;
                    continue;
                }
            };
            // Configuration or comments alone draw nothing, and must not count as a drawing.
            drawn += usize::from(!drawing.is_empty());
            drawing.add_to(path, input.options, graph);
        }
        // The drawings of one file show one system at several levels.
        c4::settle_levels(&mut c4);
        c4.add_to(path, input.options, graph);
        if drawn == 0 {
            let expected = "it holds no flowchart, C4 or architecture drawing of Mermaid";
            return Err(not_of(Format::Mermaid, path, expected));
        }
        if others > 0 {
            graph.remarks.push(format!(
                "Of {} drawings in {path}, {others} are of kinds that show no services (sequences, charts).",
                blocks.len()
            ));
        }
    }
    Ok(())
}

/// Returns whether a text holds a drawing that can be imported.
pub(crate) fn is_mermaid(text: &str) -> bool {
    fenced_blocks(text).iter().any(|block| parse_header(block).0 != MermaidKind::Other)
}

/// Returns the drawings of a file: fenced blocks where there are any, otherwise all of it.
fn fenced_blocks(text: &str) -> Vec<FencedBlock<'_>> {
    let mut found = Vec::new();
    let mut open: Option<(usize, usize, &str)> = None;
    let mut offset = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let (start, trimmed) = (offset, line.trim());
        offset += line.len();
        // A quoted or listed block stands behind `>` or spaces.
        let trimmed = trimmed.trim_start_matches(['>', ' ']);
        match open {
            Some((from, at, fence)) if trimmed.starts_with(fence) => {
                found.push(FencedBlock { text: &text[from..start], line: at });
                open = None;
            }
            Some(_) => {}
            None => {
                let fence =
                    ["```", "~~~", ":::"].into_iter().find(|item| trimmed.starts_with(item));
                let info = fence.map(|fence| trimmed.trim_start_matches(&fence[..1]).trim_start());
                let is_mermaid = info.is_some_and(|info| {
                    info.trim_start_matches('{').to_lowercase().starts_with("mermaid")
                });
                if let (Some(fence), true) = (fence, is_mermaid) {
                    open = Some((offset, number + 1, fence));
                }
            }
        }
    }
    // A block that is not closed goes on to the end of the file, as in Markdown.
    if let Some((from, at, _)) = open {
        found.push(FencedBlock { text: &text[from..], line: at });
    }
    // Without any block the file itself is a drawing, as in `.mmd`.
    if found.is_empty() {
        found.push(FencedBlock { text, line: 0 });
    }
    found
}

/// Returns what a drawing is, its text behind the header, and the line at which that begins.
fn parse_header<'a>(block: &FencedBlock<'a>) -> (MermaidKind, &'a str, usize) {
    let mut in_front_matter = false;
    let mut in_directive = false;
    let mut offset = 0;
    for (number, line) in block.text.split_inclusive('\n').enumerate() {
        offset += line.len();
        let trimmed = line.trim().trim_start_matches('\u{FEFF}');
        // Front matter with a title may stand before the kind of drawing.
        if trimmed == "---" {
            in_front_matter = !in_front_matter;
            continue;
        }
        if in_directive || trimmed.starts_with("%%{") {
            in_directive = !trimmed.contains("}%%");
            continue;
        }
        if in_front_matter || trimmed.is_empty() || trimmed.starts_with("%%") {
            continue;
        }
        let word = trimmed.split([' ', '\t', ';', ':']).next().unwrap_or_default();
        // Graphviz begins with `graph` too, but goes on with a name or a brace.
        let rest = trimmed[word.len()..].split([';', '%']).next().unwrap_or_default().trim();
        let is_direction =
            matches!(rest, "" | "TB" | "TD" | "BT" | "RL" | "LR" | ">" | "<" | "^" | "v");
        let kind = match word {
            "flowchart" | "graph" | "flowchart-elk" if is_direction => MermaidKind::Flowchart,
            "architecture-beta" | "architecture" => MermaidKind::Architecture,
            "C4Context" | "C4Container" | "C4Component" | "C4Dynamic" | "C4Deployment" => {
                MermaidKind::C4
            }
            _ => MermaidKind::Other,
        };
        // `graph TD; a-->b` goes on behind the header.
        let after = trimmed.find(';').filter(|_| kind == MermaidKind::Flowchart);
        let body = match after {
            Some(at) => {
                // The first line may begin with blanks, so the position is that in the line as
                // written.
                let start = offset - line.len() + line.find(';').unwrap_or(at) + 1;
                return (kind, &block.text[start..], block.line + number + 1);
            }
            None => &block.text[offset..],
        };
        return (kind, body, block.line + number + 2);
    }
    (MermaidKind::Other, "", block.line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_markdown_are_found_with_their_lines() {
        let text =
            "# T\n\n> ```mermaid\n> flowchart LR\n> a-->b\n> ```\n~~~{mermaid}\ngraph TD\n~~~\n";
        let found = fenced_blocks(text);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].line, 3);
        assert!(is_mermaid(text));
        assert!(!is_mermaid("# a text on flowchart drawings\n"));
    }

    #[test]
    fn the_header_follows_front_matter_directives_and_comments() {
        let text = "---\ntitle: x\n---\n%%{init: {\n}}%%\n%% no\nflowchart TD\na-->b\n";
        let (kind, body, line) = parse_header(&FencedBlock { text, line: 0 });
        assert_eq!((kind, body, line), (MermaidKind::Flowchart, "a-->b\n", 8));
        let (kind, body, line) = parse_header(&FencedBlock { text: "graph TD; a-->b", line: 0 });
        assert_eq!((kind, body, line), (MermaidKind::Flowchart, " a-->b", 1));
    }
}
