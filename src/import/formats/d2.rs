//! D2: boxes by their paths (`shop.api`), shapes, and connections in chains.
//!
//! A box with boxes in it is a frame. Layers, scenarios and steps draw the same system again, and are left
//! out, as are styles and imported files.

use std::collections::BTreeMap;

use super::drawing::{
    ARROWS_MAX, Arrow, BoxRole, Drawing, DrawnFrame, Heads, kind_of_words, plain_label,
};
use crate::diagnostic::Diagnostic;
use crate::import::graph::EvidenceGraph;
use crate::import::{Format, Input, not_of};

/// The deepest nesting of boxes.
const DEPTH_MAX: usize = 100;

/// Keys that say how something looks, and not what it is.
const LOOKS: &[&str] = &[
    "style",
    "near",
    "icon",
    "tooltip",
    "link",
    "width",
    "height",
    "direction",
    "constraint",
    "vars",
    "classes",
    "class",
    "layers",
    "scenarios",
    "steps",
    "source-arrowhead",
    "target-arrowhead",
    "grid-rows",
    "grid-columns",
    "grid-gap",
    "vertical-gap",
    "horizontal-gap",
    "top",
    "left",
];

/// Reads drawings.
pub(in crate::import) fn read_drawings(
    input: &mut Input<'_>,
    graph: &mut EvidenceGraph,
) -> Result<(), Vec<Diagnostic>> {
    for path in input.files {
        let (_, text) = input.read_text(path)?;
        let drawing = parse_drawing(&text);
        // Any text is a box to D2; a drawing of a system has connections.
        if drawing.arrows.is_empty() {
            return Err(not_of(Format::D2, path, "it holds no connection such as `a -> b`"));
        }
        drawing.add_to(path, input.options, graph);
    }
    Ok(())
}

/// The thing that a brace opened.
enum OpenBox {
    /// A box, by its path.
    Shape(String),
    /// The properties of a connection, or how something looks.
    Other,
}

fn parse_drawing(text: &str) -> Drawing {
    let mut drawing = Drawing::default();
    let mut open: Vec<OpenBox> = Vec::new();
    let mut block_end: Option<String> = None;
    for (index, line) in text.lines().enumerate() {
        if let Some(end) = &block_end {
            if line.trim_end().ends_with(end.as_str()) {
                block_end = None;
            }
            continue;
        }
        // A text over several lines: `|md … |`.
        if let Some(at) = line.find(": |") {
            let fence = line[at + 2..].trim_start();
            let bars = fence.len() - fence.trim_start_matches('|').len();
            // A text that also ends on this line leaves no block open.
            if !fence[bars..].contains('|') {
                block_end = Some("|".repeat(bars));
            }
            for part in split_statements(&line[..at]) {
                parse_statement(part, index + 1, &mut open, &mut drawing);
            }
            continue;
        }
        for part in split_statements(line) {
            parse_statement(part, index + 1, &mut open, &mut drawing);
        }
    }
    make_frames(&mut drawing);
    drawing
}

/// Returns the statements of a line without its comment; braces stand by themselves at their ends.
fn split_statements(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut start, mut quote) = (0, None);
    for (at, c) in line.char_indices() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => quote = Some(c),
            // Within a word it is a part of that word, not the start of a comment.
            ('#', None) if line[..at].chars().next_back().is_none_or(char::is_whitespace) => {
                found.push(&line[start..at]);
                return found;
            }
            (';', None) => {
                found.push(&line[start..at]);
                start = at + 1;
            }
            ('{', None) => {
                found.push(&line[start..=at]);
                start = at + 1;
            }
            ('}', None) => {
                found.push(&line[start..at]);
                found.push("}");
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(&line[start..]);
    found
}

fn parse_statement(text: &str, line: usize, open: &mut Vec<OpenBox>, drawing: &mut Drawing) {
    let text = text.trim();
    if text.is_empty() {
        return;
    }
    if text == "}" {
        open.pop();
        return;
    }
    let opens = text.ends_with('{');
    let text = text.trim_end_matches('{').trim();
    let is_ignored = open.iter().any(|open| matches!(open, OpenBox::Other));
    let scope = match open.last() {
        Some(OpenBox::Shape(path)) => path.clone(),
        _ => String::new(),
    };
    let (key, value) = split_at_colon(text);
    let opened = if is_ignored {
        OpenBox::Other
    } else if is_connection(key) {
        connect_boxes(key, value, line, &scope, drawing);
        OpenBox::Other
    } else {
        declare_box(key, value, opens, &scope, drawing).map_or(OpenBox::Other, OpenBox::Shape)
    };
    if opens && open.len() < DEPTH_MAX {
        open.push(opened);
    }
}

/// Returns what stands before and behind the first colon outside of quotes.
fn split_at_colon(text: &str) -> (&str, &str) {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => quote = Some(c),
            (':', None) => return (text[..at].trim(), text[at + 1..].trim()),
            _ => {}
        }
    }
    (text, "")
}

fn is_connection(key: &str) -> bool {
    ["->", "<-", "--", "<->"].iter().any(|arrow| key.contains(arrow))
}

/// Declares a box or one of its properties; gives the path of the box.
fn declare_box(
    key: &str,
    value: &str,
    opens: bool,
    scope: &str,
    drawing: &mut Drawing,
) -> Option<String> {
    let last = key.rsplit('.').next().unwrap_or(key);
    let (owner, property) = match last {
        "shape" | "label" => {
            let owner = key.strip_suffix(last).unwrap_or_default().trim_end_matches('.');
            (path_within(scope, owner), last)
        }
        _ if LOOKS.contains(&key.split('.').next().unwrap_or(key)) || LOOKS.contains(&last) => {
            return None;
        }
        // These signs begin globs, filters, imports, substitutions and indexed connections: none of
        // them declares a box.
        _ if key.starts_with(['.', '@', '&', '!', '$', '(', '*']) => return None,
        _ => (path_within(scope, key), ""),
    };
    if owner.is_empty() {
        return None;
    }
    let shape = box_at(&owner, drawing);
    match property {
        "shape" => match value {
            "cylinder" | "stored_data" => shape.kind = shape.kind.or(Some("database")),
            "queue" => shape.kind = Some("queue"),
            "person" | "c4-person" => shape.role = BoxRole::Person,
            _ => {}
        },
        "label" => shape.label = Some(plain_label(value)),
        _ if !value.is_empty() && value != "null" => shape.label = Some(plain_label(value)),
        _ => {}
    }
    (opens || property.is_empty()).then_some(owner)
}

/// Joins boxes in a chain: `a -> b <- c`.
fn connect_boxes(key: &str, value: &str, line: usize, scope: &str, drawing: &mut Drawing) {
    let mut rest = key;
    let mut ends = Vec::new();
    let mut heads = Vec::new();
    while let Some((at, length, head)) = next_arrow(rest) {
        ends.push(path_within(scope, rest[..at].trim()));
        heads.push(head);
        rest = &rest[at + length..];
    }
    ends.push(path_within(scope, rest.trim()));
    for (pair, heads) in ends.windows(2).zip(heads) {
        let [from, to] = pair else { continue };
        if from.is_empty() || to.is_empty() || drawing.arrows.len() >= ARROWS_MAX {
            continue;
        }
        box_at(from, drawing);
        box_at(to, drawing);
        let is_async = value.to_lowercase().contains("async");
        let (from, to) = (from.clone(), to.clone());
        drawing.arrows.push(Arrow { from, to, heads, is_async, line, ..Arrow::default() });
    }
}

/// Returns where the next arrow begins, how long it is, and its heads.
fn next_arrow(text: &str) -> Option<(usize, usize, Heads)> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => quote = Some(c),
            ('<' | '-', None) => {
                let rest = &text[at..];
                let length = rest.len() - rest.trim_start_matches(['<', '-', '>']).len();
                let body = &rest[..length];
                let heads = match (body.starts_with('<'), body.ends_with('>')) {
                    (true, true) => Heads::Both,
                    (true, false) => Heads::Back,
                    (false, true) => Heads::Forward,
                    (false, false) if length >= 2 => Heads::None,
                    _ => continue,
                };
                if length >= 2 {
                    return Some((at, length, heads));
                }
            }
            _ => {}
        }
    }
    None
}

/// Returns the path of a box that is named within another; `_` stands for the one around it.
fn path_within(scope: &str, key: &str) -> String {
    let mut parts: Vec<&str> = scope.split('.').filter(|part| !part.is_empty()).collect();
    let mut rest = key.trim();
    while let Some(after) = rest.strip_prefix("_.").or_else(|| (rest == "_").then_some("")) {
        parts.pop();
        rest = after;
    }
    // Connections have indexes: `(a -> b)[0]`.
    let rest = rest.trim_matches(['(', ')']);
    let own = if rest.starts_with(['"', '\'']) {
        vec![rest.trim_matches(['"', '\''])]
    } else {
        rest.split('.').map(str::trim).filter(|part| !part.is_empty()).collect()
    };
    parts.extend(own);
    parts.truncate(DEPTH_MAX);
    parts.join(".")
}

/// Returns the box at a path, with the boxes around it.
fn box_at<'d>(path: &str, drawing: &'d mut Drawing) -> &'d mut super::drawing::DrawnBox {
    let mut at = path;
    while let Some((outer, _)) = at.rsplit_once('.') {
        if drawing.shapes.contains_key(outer) {
            // So are the boxes around it.
            break;
        }
        let parent = outer.rsplit_once('.').map(|(parent, _)| parent);
        drawing.shape_or_new(outer, parent);
        at = outer;
    }
    let outer = path.rsplit_once('.').map(|(outer, _)| outer.to_owned());
    drawing.shape_or_new(path, outer.as_deref())
}

/// Makes frames of the boxes with boxes in them, and gives the others the kinds and names of their labels.
fn make_frames(drawing: &mut Drawing) {
    let filled: Vec<String> =
        drawing.shapes.values().filter_map(|shape| shape.group.clone()).collect();
    for id in filled {
        if let Some(shape) = drawing.shapes.remove(&id) {
            let label = shape.label.unwrap_or_else(|| id.clone());
            drawing.groups.insert(id, DrawnFrame { label, parent: shape.group, is_team: false });
        }
    }
    shorten_names(drawing);
    for (id, shape) in &mut drawing.shapes {
        let last = id.rsplit('.').next().unwrap_or(id);
        let words = shape.label.as_deref().unwrap_or(last);
        // Caches and queues are drawn as cylinders as well; their words tell them apart.
        if shape.kind == Some("database") {
            shape.kind = kind_of_words(words).or(shape.kind);
        }
    }
}

/// Calls each box by the last part of its path, where no other has the same.
fn shorten_names(drawing: &mut Drawing) {
    let last = |id: &str| id.rsplit('.').next().unwrap_or(id).to_owned();
    let mut uses: BTreeMap<String, usize> = BTreeMap::new();
    for id in drawing.shapes.keys() {
        *uses.entry(last(id)).or_default() += 1;
    }
    let short = |id: &str| if uses.get(&last(id)) == Some(&1) { last(id) } else { id.to_owned() };
    let is_frame: Vec<String> = drawing.groups.keys().cloned().collect();
    let shapes = std::mem::take(&mut drawing.shapes);
    drawing.shapes = shapes.into_iter().map(|(id, shape)| (short(&id), shape)).collect();
    for arrow in &mut drawing.arrows {
        for end in [&mut arrow.from, &mut arrow.to] {
            if !is_frame.contains(end) {
                *end = short(end);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_frames_and_chains_are_read() {
        let text = "# a shop\ndirection: right\nuser: Buyer {shape: person}\nshop: Shop {\n  web -> api: asks {style.stroke: \
                    red}\n  api -> _.bank\n  db: Ledger {\n    shape: cylinder\n  }\n  api -> db <- job\n}\nuser -> \
                    shop.web; note: |md\n  # a -> z\n|\nbank.shape: cloud\nlayers: {\n  x: { q -> r }\n}\n";
        let drawing = parse_drawing(text);
        let shapes: Vec<&str> = drawing.shapes.keys().map(String::as_str).collect();
        assert_eq!(shapes, ["api", "bank", "db", "job", "note", "user", "web"]);
        assert_eq!(drawing.shapes["db"].kind, Some("database"));
        assert_eq!(drawing.shapes["user"].role, BoxRole::Person);
        assert_eq!(drawing.groups["shop"].label, "Shop");
        let arrows: Vec<String> = drawing
            .arrows
            .iter()
            .map(|arrow| format!("{} {:?} {}", arrow.from, arrow.heads, arrow.to))
            .collect();
        assert_eq!(
            arrows,
            [
                "web Forward api",
                "api Forward bank",
                "api Forward db",
                "db Back job",
                "user Forward web"
            ]
        );
    }

    #[test]
    fn texts_that_are_no_drawings_end() {
        for text in
            ["{", "}", "->", "a ->", "-> b", "a: |", "_._.a -> b", "\"", "a.b.c.d.", "é -> ü: {"]
        {
            parse_drawing(text);
        }
    }
}
