//! `PlantUML`: component and deployment drawings, and C4 by its macros; alone in a file or in blocks of
//! Markdown.
//!
//! Drawings of classes, sequences and states are no topologies. Files that a drawing includes are not read:
//! they hold macros and styles, mostly from the network.

use super::c4;
use super::drawing::{
    ARROWS_MAX, Arrow, BoxRole, Drawing, DrawnFrame, Heads, kind_of_words, plain_label,
};
use crate::diagnostic::Diagnostic;
use crate::import::graph::EvidenceGraph;
use crate::import::{Format, Input, not_of};

/// The deepest nesting of frames; deeper ones count to the last.
const DEPTH_MAX: usize = 100;

/// Words that declare a box, and the kind of what it stands for.
const BOXES: &[(&str, Option<&str>)] = &[
    ("component", None),
    ("database", Some("database")),
    ("queue", Some("queue")),
    ("storage", None),
    ("node", None),
    ("cloud", None),
    ("rectangle", None),
    ("agent", None),
    ("artifact", None),
    ("card", None),
    ("collections", None),
    ("stack", None),
    ("boundary", None),
    ("control", None),
    ("entity", None),
    ("interface", None),
    ("hexagon", None),
    ("participant", None),
];

/// Words that declare somebody who uses the system.
const PEOPLE: &[&str] = &["actor", "person", "usecase"];

/// Words that open a frame where a brace follows, besides those of boxes.
const FRAMES: &[&str] = &["package", "folder", "frame", "namespace", "together", "file"];

/// Words at the start of lines that say nothing of services.
const IGNORED: &[&str] = &[
    "skinparam",
    "hide",
    "show",
    "scale",
    "left",
    "top",
    "title",
    "header",
    "footer",
    "caption",
    "note",
    "legend",
    "!include",
    "!includeurl",
    "!define",
    "!theme",
    "!pragma",
    "!import",
    "@startuml",
    "@enduml",
    "end",
    "endlegend",
    "allowmixing",
    "style",
    "sprite",
    "remove",
    "!procedure",
    "!endprocedure",
    "return",
];

/// Reads drawings.
pub(in crate::import) fn read_drawings(
    input: &mut Input<'_>,
    graph: &mut EvidenceGraph,
) -> Result<(), Vec<Diagnostic>> {
    for path in input.files {
        let (_, text) = input.read_text(path)?;
        // Any word is a box to this language: only what is marked as a drawing is one.
        let mut drawing =
            if is_plantuml(&text) { parse_drawing(&text) } else { Drawing::default() };
        if drawing.is_empty() {
            let expected = "it holds no `@startuml` with a drawing of components";
            return Err(not_of(Format::Plantuml, path, expected));
        }
        c4::settle_levels(&mut drawing);
        drawing.add_to(path, input.options, graph);
    }
    Ok(())
}

/// Returns whether a text holds a drawing.
pub(in crate::import) fn is_plantuml(text: &str) -> bool {
    text.lines().any(|line| line.trim_start().starts_with("@startuml"))
}

fn parse_drawing(text: &str) -> Drawing {
    let mut drawing = Drawing::default();
    c4::parse_macros(text, 1, &mut drawing);
    let mut open: Vec<Option<String>> = Vec::new();
    let mut until: Option<&str> = None;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim().trim_start_matches(['>', ' ']);
        if let Some(end) = until {
            // `end note` is written with and without the space.
            if line.to_lowercase().replace(' ', "").ends_with(end) {
                until = None;
            }
            continue;
        }
        let word = line.split([' ', '\t', ':', '(', '{']).next().unwrap_or_default().to_lowercase();
        if line.starts_with("/'") && !line.contains("'/") {
            until = Some("'/");
        } else if word == "note" && !line.contains(':') {
            // A note with a colon is complete on its line.
            until = Some("endnote");
        } else if word == "legend" {
            until = Some("endlegend");
        } else if word == "skinparam" && line.ends_with('{') {
            until = Some("}");
        } else if line.starts_with('\'') || IGNORED.contains(&word.as_str()) || c4::is_macro(line) {
            // What C4 draws was read by its macros; only its braces matter here.
            if line.ends_with('{') && open.len() < DEPTH_MAX {
                open.push(c4::frame_of(line));
            }
        } else {
            let group = open.iter().rev().flatten().next().cloned();
            let frame = parse_statement(line, &word, index + 1, group.as_deref(), &mut drawing);
            let closes = line.starts_with('}');
            if closes {
                open.pop();
            } else if line.ends_with('{') && open.len() < DEPTH_MAX {
                open.push(frame);
            }
        }
    }
    drawing
}

/// Reads a line; gives the frame that it opens.
fn parse_statement(
    line: &str,
    word: &str,
    number: usize,
    group: Option<&str>,
    drawing: &mut Drawing,
) -> Option<String> {
    let kind = BOXES.iter().find(|(name, _)| *name == word).map(|(_, kind)| *kind);
    // `:Name:` is the short form of an actor.
    let is_person = PEOPLE.contains(&word) || line.starts_with(':') && !line.contains("->");
    let opens = line.ends_with('{');
    if opens && (kind.is_some() || FRAMES.contains(&word)) {
        let rest = line[word.len()..].trim_end_matches('{').trim();
        let (id, label) = parse_named(rest)?;
        let parent = group.map(str::to_owned);
        let label = label.unwrap_or_else(|| id.clone());
        drawing.groups.entry(id.clone()).or_insert(DrawnFrame { label, parent, is_team: false });
        return Some(id);
    }
    if let Some(kind) = kind {
        let (id, label) = parse_named(line[word.len()..].trim())?;
        let shape = drawing.shape_or_new(&id, group);
        shape.kind = kind.or_else(|| kind_of_words(label.as_deref().unwrap_or_default()));
        shape.label = label.filter(|label| *label != id);
        return None;
    }
    if let Some(arrow) = parse_arrow(line, number, group, drawing) {
        if drawing.arrows.len() < ARROWS_MAX {
            drawing.arrows.push(arrow);
        }
        return None;
    }
    if is_person {
        let rest = if line.starts_with(':') { line } else { line[word.len()..].trim() };
        let (id, label) = parse_named(rest)?;
        let shape = drawing.shape_or_new(&id, group);
        shape.role = BoxRole::Person;
        shape.label = label.filter(|label| *label != id);
    } else if line.starts_with('[') || line.starts_with("()") {
        let (id, label) = parse_named(line)?;
        drawing.shape_or_new(&id, group).label = label.filter(|label| *label != id);
    }
    None
}

/// Reads `"Label" as id`, `[Label] as id`, `id as "Label"`, `id [\nlong text]` or `id`; gives the
/// identifier and the label.
fn parse_named(text: &str) -> Option<(String, Option<String>)> {
    let text = text.split("<<").next().unwrap_or_default();
    // A color stands behind.
    let text = text.split(" #").next().unwrap_or_default().trim();
    let bare = |part: &str| {
        let part = part.trim().trim_start_matches("()").trim();
        plain_label(part.trim_matches(['[', ']', '"', ':', '(', ')']))
    };
    let (first, second) = match text.split_once(" as ") {
        Some((first, second)) => (bare(first), Some(bare(second))),
        None => (bare(text.split(" [").next().unwrap_or_default()), None),
    };
    let is_word =
        |text: &str| text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
    match second {
        _ if first.is_empty() => None,
        // The identifier may stand before or behind `as`; it is the side without spaces.
        Some(second) if is_word(&second) => Some((second, Some(first))),
        Some(second) => Some((first, Some(second))),
        None => Some((first, None)),
    }
}

/// Reads `a -right-> b : text`, `[A] ..> [B]`, `a <-- b` and `a -- b`.
fn parse_arrow(
    line: &str,
    number: usize,
    group: Option<&str>,
    drawing: &mut Drawing,
) -> Option<Arrow> {
    let (start, end) = body_of(line)?;
    let body = &line[start..end];
    let (left, right) = (line[..start].trim(), line[end..].trim());
    // A colon with spaces is preferred: a single one may belong to a name such as `db:5432`.
    let (right, text) = match right.split_once(" : ").or_else(|| right.split_once(':')) {
        Some((right, text)) if !right.trim().is_empty() => (right.trim(), text),
        _ => (right, ""),
    };
    // Multiplicities and the texts of ends stand in quotes beside the arrow.
    let end_of = |side: &str, is_left: bool| {
        let quoted = side.matches('"').count() == 2;
        // Two quotes on a side are a text beside the arrow; with four the name is quoted as well.
        let side = match (side.split_once('"'), side.rsplit_once('"')) {
            (Some((name, _)), _) if is_left && quoted && !name.trim().is_empty() => name,
            (_, Some((_, name))) if !is_left && quoted && !name.trim().is_empty() => name,
            _ => side,
        };
        let is_person = side.trim().starts_with(':') && side.trim().ends_with(':');
        parse_named(side).map(|(id, _)| (id, is_person))
    };
    let (from, to) = (end_of(left, true)?, end_of(right, false)?);
    for (id, is_person) in [&from, &to] {
        if !drawing.groups.contains_key(id) {
            let shape = drawing.shape_or_new(id, group);
            if *is_person {
                shape.role = BoxRole::Person;
            }
        }
    }
    let head = |text: &str| text.contains(['<', '>']);
    // Heads stand outside of the first and the last stroke; between them `<` and `>` may belong to
    // a color.
    let half = body.find(['-', '.', '=']).unwrap_or(0);
    let last = body.rfind(['-', '.', '=']).map_or(body.len(), |at| at + 1);
    let heads = match (head(&body[..half]), head(&body[last..])) {
        (true, true) => Heads::Both,
        (true, false) => Heads::Back,
        (false, true) => Heads::Forward,
        (false, false) => Heads::None,
    };
    let is_dashed = body.contains("..") || body.contains(".>") || body.contains("<.");
    let is_async = text.to_lowercase().contains("async");
    Some(Arrow { from: from.0, to: to.0, heads, is_dashed, is_async, line: number })
}

/// Returns where the arrow of a line begins and ends.
fn body_of(line: &str) -> Option<(usize, usize)> {
    let is_line = |c: char| matches!(c, '-' | '.' | '=');
    let bytes = line.char_indices();
    let (mut depth, mut is_quoted) = (0_i32, false);
    for (at, c) in bytes {
        match c {
            '"' => is_quoted = !is_quoted,
            '[' | '(' if !is_quoted => depth += 1,
            ']' | ')' if !is_quoted => depth -= 1,
            c if is_quoted || depth > 0 || !(is_line(c) || matches!(c, '<')) => {}
            _ => {
                let before = &line[..at];
                // A dash may belong to a name: an arrow of two signs must stand apart, a longer one
                // need not.
                let stands_apart = before.ends_with([' ', ']', ')', '"', ':']);
                let tail = before.len() - before.trim_end_matches(['<', '|', 'o', '*']).len();
                let rest = &line[at..];
                let length = arrow_length(rest)?;
                if (stands_apart || tail > 0) && length >= 2 || length >= 3 {
                    return Some((at, at + length));
                }
            }
        }
    }
    None
}

/// Returns how many bytes an arrow takes that begins here: `-[#red]right->`.
fn arrow_length(text: &str) -> Option<usize> {
    let mut rest = text;
    let mut lines = 0;
    loop {
        let c = rest.chars().next();
        match c {
            Some('-' | '.' | '=') => {
                lines += 1;
                rest = &rest[1..];
            }
            Some('<' | '>' | '|' | '\\' | '/' | '*' | 'o' | 'x' | '#' | '+' | '^' | '0' | '@')
                if lines == 0 || !rest[1..].starts_with(|c: char| c.is_alphanumeric()) =>
            {
                rest = &rest[1..];
                if lines > 0 && !rest.starts_with(['>', '|', '-', '.', '=']) {
                    break;
                }
            }
            Some('[') if lines > 0 && rest.contains(']') => {
                rest = &rest[rest.find(']')? + 1..];
            }
            // `-left->`: a direction within.
            Some(c) if c.is_ascii_alphabetic() && lines > 0 => {
                let word =
                    rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
                let is_direction = matches!(
                    &rest[..word],
                    "left"
                        | "right"
                        | "up"
                        | "down"
                        | "l"
                        | "r"
                        | "u"
                        | "d"
                        | "le"
                        | "ri"
                        | "do"
                        | "hidden"
                );
                if !is_direction || !rest[word..].starts_with(['-', '.', '=', '[']) {
                    break;
                }
                rest = &rest[word..];
            }
            _ => break,
        }
    }
    (lines > 0).then_some(text.len() - rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrows(text: &str) -> Vec<String> {
        parse_drawing(text).arrows.iter().map(Arrow::to_string).collect()
    }

    #[test]
    fn arrows_of_all_forms_are_read() {
        for (text, expected) in [
            ("[Web] --> [API] : asks", "Web->API"),
            ("web -> api", "web->api"),
            ("web -right-> api", "web->api"),
            ("web -[#red,dashed]-> api", "web->api"),
            ("web ..> api", "web..>api"),
            ("web <-- api", "web<-api"),
            ("web <--> api", "web<->api"),
            ("web -- api", "web--api"),
            ("web \"1\" --> \"*\" api", "web->api"),
            ("[big-web]-->[api-2]", "big-web->api-2"),
        ] {
            assert_eq!(arrows(text), [expected], "{text}");
        }
    }

    #[test]
    fn boxes_have_labels_kinds_and_frames() {
        let text = "@startuml\nskinparam x {\n a -> b\n}\npackage \"Shop\" as shop {\n  [Web shop] as web\n  database \
                    \"Ledger\" as db <<sql>> #eee\n}\nactor Buyer\nBuyer --> web\nweb --> db\nnote left\n a --> c\nend \
                    note\n@enduml";
        let drawing = parse_drawing(text);
        assert_eq!(drawing.shapes.keys().collect::<Vec<_>>(), ["Buyer", "db", "web"]);
        assert_eq!(drawing.shapes["Buyer"].role, BoxRole::Person);
        assert_eq!(drawing.shapes["db"].kind, Some("database"));
        assert_eq!(drawing.shapes["web"].label.as_deref(), Some("Web shop"));
        assert_eq!(drawing.shapes["web"].group.as_deref(), Some("shop"));
        assert_eq!(drawing.arrows.len(), 2);
    }

    #[test]
    fn texts_that_are_no_drawings_end() {
        for text in
            ["-", "--", "->", "[", "a -[", "a -left", "é -> ü", "() -> ()", ": -> :", "package {"]
        {
            parse_drawing(text);
        }
    }
}
