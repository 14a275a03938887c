//! Flowcharts of Mermaid: boxes in fourteen shapes, lines with heads and texts, frames.
//!
//! Read as the grammar of Mermaid reads them: an identifier may hold dashes, as long as no line begins
//! there; a line may carry its text within (`-- text -->`) or behind (`-->|text|`).

use crate::import::formats::drawing::{
    ARROWS_MAX, Arrow, Drawing, DrawnFrame, Heads, kind_of_words, plain_label,
};

/// The deepest nesting of frames; deeper ones count to the last.
const DEPTH_MAX: usize = 100;

/// Openings of labels with their ends, the longest first, and whether it is drawn as a cylinder.
const LABELS: &[(&str, &[&str], bool)] = &[
    ("(((", &[")))"], false),
    ("((", &["))"], false),
    ("([", &["])"], false),
    ("[[", &["]]"], false),
    ("[(", &[")]"], true),
    ("[/", &["/]", "\\]"], false),
    ("[\\", &["\\]", "/]"], false),
    ("[", &["]"], false),
    ("(", &[")"], false),
    ("{{", &["}}"], false),
    ("{", &["}"], false),
    (">", &["]"], false),
];

/// Statements that say how something looks.
const LOOKS: &[&str] = &[
    "direction",
    "classDef",
    "class",
    "style",
    "linkStyle",
    "click",
    "accTitle",
    "accDescr",
    "title",
];

/// Reads the text behind the header; `first` is the number of its first line.
pub(super) fn parse_flowchart(text: &str, first: usize) -> Drawing {
    let mut parser = FlowchartParser {
        text,
        at: 0,
        line: first,
        groups: Vec::new(),
        drawing: Drawing::default(),
    };
    while parser.parse_statement() {}
    parser.drawing
}

struct FlowchartParser<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    /// The identifiers of the frames that are open.
    groups: Vec<String>,
    drawing: Drawing,
}

/// A line as it is drawn.
struct FlowchartLink {
    heads: Heads,
    is_dashed: bool,
    is_invisible: bool,
    is_async: bool,
}

impl<'a> FlowchartParser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn advance(&mut self, bytes: usize) {
        let taken = &self.text[self.at..self.at + bytes];
        self.line += taken.matches('\n').count();
        self.at += bytes;
    }

    fn skip_spaces(&mut self) {
        let rest = self.rest();
        let count = rest.len() - rest.trim_start_matches([' ', '\t', '\r']).len();
        self.advance(count);
    }

    /// Skips what is left of a line, its end too.
    fn skip_line(&mut self) {
        let count = self.rest().find('\n').map_or(self.rest().len(), |at| at + 1);
        self.advance(count);
    }

    /// Reads one statement; gives `false` at the end.
    fn parse_statement(&mut self) -> bool {
        let rest = self.rest();
        // `>` is the mark of a quoted block in Markdown, behind which a drawing may stand.
        let blank = rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n', ';', '>']).len();
        self.advance(blank);
        let rest = self.rest();
        if rest.is_empty() {
            return false;
        }
        if rest.starts_with("%%") {
            self.skip_line();
            return true;
        }
        let word = rest.split([' ', '\t', '\r', '\n', ';']).next().unwrap_or_default();
        let after = rest[word.len()..].trim_start_matches([' ', '\t']);
        match word {
            "subgraph" => self.parse_subgraph(),
            "end" => {
                self.groups.pop();
                self.advance(word.len());
            }
            "accDescr" if after.starts_with('{') => {
                let count = rest.find('}').map_or(rest.len(), |at| at + 1);
                self.advance(count);
            }
            // `class --> b` is a line from a box called `class`.
            _ if LOOKS.contains(&word.trim_end_matches(':')) && link_length(after).is_none() => {
                self.skip_line();
            }
            _ => self.parse_chain(),
        }
        true
    }

    fn parse_subgraph(&mut self) {
        self.advance("subgraph".len());
        let rest = self.rest();
        let header = rest.split(['\n', ';']).next().unwrap_or_default();
        self.advance(header.len());
        let header = header.trim();
        let (id, label) = match header.split_once('[') {
            // A quoted text with a bracket in it is a title, not an identifier with a title.
            Some((id, label)) if !id.starts_with('"') => {
                (id.trim().to_owned(), plain_label(label.trim_end_matches(']')))
            }
            _ => (plain_label(header), plain_label(header)),
        };
        let parent = self.groups.last().cloned();
        let group = DrawnFrame { label, parent, is_team: true };
        // A frame may be opened again later; its first title counts.
        self.drawing.groups.entry(id.clone()).or_insert(group);
        if self.groups.len() < DEPTH_MAX {
            self.groups.push(id);
        }
    }

    /// Reads boxes with lines between them: `a & b --> c -.-> d`.
    fn parse_chain(&mut self) {
        let Some(mut from) = self.parse_boxes() else {
            self.skip_line();
            return;
        };
        loop {
            self.skip_spaces();
            // A line may have an identifier of its own: `e1@-->`.
            let word = self.rest().split_whitespace().next().unwrap_or_default();
            // An `@` may also belong to a shape, as in `a@{ shape: cyl }`.
            if let Some(at) = word.find('@')
                && link_length(&self.rest()[at + 1..]).is_some()
            {
                self.advance(at + 1);
            }
            let Some(link) = self.parse_link() else { break };
            let line = self.line;
            self.skip_blank();
            let Some(to) = self.parse_boxes() else { break };
            for (from, to) in from.iter().flat_map(|from| to.iter().map(move |to| (from, to))) {
                // Invisible lines only place boxes, and mean no dependency.
                if link.is_invisible || self.drawing.arrows.len() >= ARROWS_MAX {
                    break;
                }
                self.drawing.arrows.push(Arrow {
                    from: from.clone(),
                    to: to.clone(),
                    heads: link.heads,
                    is_dashed: link.is_dashed,
                    is_async: link.is_async,
                    line,
                });
            }
            from = to;
        }
        if !self.rest().starts_with(['\n', ';']) {
            self.skip_line();
        }
    }

    /// Skips spaces and one end of a line, which may stand behind a line that goes on.
    fn skip_blank(&mut self) {
        self.skip_spaces();
        if self.rest().starts_with('\n') {
            self.advance(1);
            self.skip_spaces();
        }
    }

    /// Reads `a`, or `a & b & c`.
    fn parse_boxes(&mut self) -> Option<Vec<String>> {
        let mut found = vec![self.parse_node()?];
        loop {
            self.skip_spaces();
            let Some(after) = self.rest().strip_prefix('&') else { return Some(found) };
            self.advance(1 + after.len() - after.trim_start_matches([' ', '\t']).len());
            found.push(self.parse_node()?);
        }
    }

    /// Reads a box: its identifier, and its label where it has one here.
    fn parse_node(&mut self) -> Option<String> {
        let rest = self.rest();
        let length = id_length(rest);
        if length == 0 {
            return None;
        }
        let id = rest[..length].trim_matches('"').to_owned();
        self.advance(length);
        let label = self.parse_label();
        if let Some(class) = self.rest().strip_prefix(":::") {
            // The class only says how the box looks.
            self.advance(3 + id_length(class));
        }
        // An identifier of a frame at the end of a line means the frame.
        if !self.drawing.groups.contains_key(&id) {
            let group = self.groups.last().cloned();
            let shape = self.drawing.shape_or_new(&id, group.as_deref());
            if let Some((text, is_cylinder)) = label {
                let text = plain_label(&text);
                if is_cylinder {
                    // Caches and queues are drawn as cylinders too; their words are more exact than
                    // the shape.
                    let kind = kind_of_words(&text).or_else(|| kind_of_words(&id));
                    shape.kind = Some(kind.unwrap_or("database"));
                }
                shape.label = Some(text).filter(|text| !text.is_empty() && *text != id);
            }
        }
        Some(id)
    }

    /// Reads the label behind an identifier, and whether its box is a cylinder.
    fn parse_label(&mut self) -> Option<(String, bool)> {
        let rest = self.rest();
        if let Some(inner) = rest.strip_prefix("@{") {
            let end = inner.find('}')?;
            self.advance(2 + end + 1);
            return Some(parse_properties(&inner[..end]));
        }
        let (open, closes, is_cylinder) = LABELS.iter().find(|item| rest.starts_with(item.0))?;
        let inner = &rest[open.len()..];
        let quoted = inner.trim_start_matches([' ', '\t']);
        let skipped = inner.len() - quoted.len();
        // Within quotes any bracket may stand, so the end of the label is looked for behind them.
        if let Some(text) = quoted.strip_prefix('"') {
            let end = text.find('"')?;
            let after = &text[end + 1..];
            let close =
                closes.iter().filter_map(|close| Some(after.find(close)? + close.len())).min()?;
            self.advance(open.len() + skipped + 1 + end + 1 + close);
            return Some((text[..end].to_owned(), *is_cylinder));
        }
        // Without quotes a label ends on its line; otherwise an open bracket would swallow the rest
        // of the file.
        let line = inner.split('\n').next().unwrap_or_default();
        let (end, close) =
            closes.iter().filter_map(|close| Some((line.find(close)?, close.len()))).min()?;
        self.advance(open.len() + end + close);
        Some((inner[..end].to_owned(), *is_cylinder))
    }

    /// Reads a line with the text on it.
    fn parse_link(&mut self) -> Option<FlowchartLink> {
        let rest = self.rest();
        let length = link_length(rest)?;
        let drawn = &rest[..length];
        let is_dashed = drawn.contains('.');
        let is_invisible = drawn.starts_with('~');
        let tail = drawn.starts_with(['<', 'x', 'o']);
        self.advance(length);
        let head = |drawn: &str| drawn.ends_with(['>', 'x', 'o']);
        let (mut has_head, mut text) = (head(drawn), "");
        // Two strokes without a head open a text (`-- text -->`), three are a line by themselves.
        let is_open = !has_head
            && (drawn.trim_start_matches(['<', 'x', 'o']).len() == 2 || drawn.ends_with('.'));
        if is_open {
            let line = self.rest().split('\n').next().unwrap_or_default();
            let (at, end) = closing_line(line, is_dashed, drawn.contains('='))?;
            text = &line[..at];
            has_head = head(line[at..end].trim_end());
            self.advance(end);
        }
        self.skip_spaces();
        if let Some(inner) = self.rest().strip_prefix('|')
            && let Some(end) = inner.find('|')
        {
            text = &inner[..end];
            self.advance(end + 2);
        }
        let heads = match (tail, has_head) {
            (true, true) => Heads::Both,
            (true, false) => Heads::Back,
            (false, true) => Heads::Forward,
            (false, false) => Heads::None,
        };
        let is_async = text.to_lowercase().contains("async");
        Some(FlowchartLink { heads, is_dashed, is_invisible, is_async })
    }
}

/// Returns how many bytes the line takes that begins here; a line with its text within ends where that
/// begins.
fn link_length(text: &str) -> Option<usize> {
    if text.starts_with("~~~") {
        return Some(text.len() - text.trim_start_matches('~').len());
    }
    // `x` and `o` are heads as well as letters: they count only directly before or behind strokes.
    let body = text.strip_prefix(['<', 'x', 'o']).unwrap_or(text);
    let tail = text.len() - body.len();
    let run = |text: &str, c: char| text.len() - text.trim_start_matches(c).len();
    let head = |text: &str| usize::from(text.starts_with(['>', 'x', 'o']));
    if let Some(after) = body.strip_prefix("-.") {
        let dots = 2 + run(after, '.');
        let dashes = run(&body[dots..], '-');
        let end = dots + dashes;
        // Without dashes the line is open, and its text follows.
        return Some(tail + end + if dashes > 0 { head(&body[end..]) } else { 0 });
    }
    for c in ['-', '='] {
        let count = run(body, c);
        if count >= 2 {
            return Some(tail + count + head(&body[count..]));
        }
    }
    None
}

/// Returns where a text on a line ends, and where the line that goes on behind it does.
fn closing_line(line: &str, is_dashed: bool, is_thick: bool) -> Option<(usize, usize)> {
    let start =
        if is_dashed { line.find(".-")? } else { line.find(if is_thick { "==" } else { "--" })? };
    let rest = &line[start..];
    let body = rest.len() - rest.trim_start_matches(['-', '=', '.']).len();
    let head = usize::from(rest[body..].starts_with(['>', 'x', 'o']));
    Some((start, start + body + head))
}

/// Returns how many bytes of an identifier stand here.
fn id_length(text: &str) -> usize {
    if let Some(inner) = text.strip_prefix('"') {
        return inner.find('"').map_or(0, |end| end + 2);
    }
    let mut characters = text.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        let next = characters.peek().map(|(_, c)| *c);
        let is_part = match c {
            // A dash is part of an identifier unless a line begins with it.
            '-' => !matches!(next, Some('-' | '>' | '.') | None),
            '=' => next != Some('='),
            '.' | '_' | '/' | '+' | '*' | '#' | '$' | '\'' | '?' | '!' => true,
            c => c.is_alphanumeric(),
        };
        if !is_part {
            return at;
        }
    }
    text.len()
}

/// Reads `shape: cyl, label: "Orders"`.
fn parse_properties(text: &str) -> (String, bool) {
    let value = |key: &str| {
        let rest = &text[text.find(key)? + key.len()..];
        let rest = rest.trim_start().strip_prefix(':')?.trim_start();
        Some(match rest.strip_prefix('"') {
            Some(inner) => inner.split('"').next().unwrap_or_default(),
            None => rest.split([',', '\n']).next().unwrap_or_default().trim(),
        })
    };
    let shape = value("shape").unwrap_or_default();
    // All these shapes are cylinders or disks, under the short and long names that Mermaid gives
    // them.
    let is_cylinder = matches!(
        shape,
        "cyl" | "cylinder" | "db" | "database" | "das" | "h-cyl" | "datastore" | "disk" | "lin-cyl"
    );
    (value("label").unwrap_or_default().to_owned(), is_cylinder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrows(text: &str) -> Vec<String> {
        parse_flowchart(text, 1).arrows.iter().map(Arrow::to_string).collect()
    }

    #[test]
    fn lines_of_all_forms_are_read() {
        for (text, expected) in [
            ("a-->b", "a->b"),
            ("a --- b", "a--b"),
            ("a -.-> b", "a..>b"),
            ("a-..->b", "a..>b"),
            ("a ==> b", "a->b"),
            ("a ====> b", "a->b"),
            ("a <--> b", "a<->b"),
            ("a o--o b", "a<->b"),
            ("a x--x b", "a<->b"),
            ("a --x b", "a->b"),
            ("a -- asks for --> b", "a->b"),
            ("a -. later .-> b", "a..>b"),
            ("a == much ==> b", "a->b"),
            ("a -->|asks (twice)| b", "a->b"),
            ("a e1@--> b", "a->b"),
            ("a-b --> c-d", "a-b->c-d"),
            ("a.b-->c/d", "a.b->c/d"),
            ("a[\"x --> y\"] --> b", "a->b"),
            ("a -->\n b", "a->b"),
            ("a:::old --> b", "a->b"),
            ("a@{ shape: cyl, label: \"L\" } --> b", "a->b"),
        ] {
            assert_eq!(arrows(text), [expected], "{text}");
        }
        assert!(arrows("a ~~~ b").is_empty());
    }

    #[test]
    fn chains_and_groups_of_boxes_give_every_pair() {
        assert_eq!(arrows("a & b --> c --> d & e"), ["a->c", "b->c", "c->d", "c->e"]);
        assert_eq!(arrows("a-->b;c-->d"), ["a->b", "c->d"]);
    }

    #[test]
    fn shapes_labels_and_frames_are_kept() {
        let text = "subgraph two [Team two]\n direction LR\n db[(Main ledger)]\n q[(Orders queue)]\nend\n\
                    classDef x fill:#eee\nclass db x\nclick db href \"x\"\nstart>Go] --> db";
        let drawing = parse_flowchart(text, 1);
        let db = &drawing.shapes["db"];
        assert_eq!((db.label.as_deref(), db.kind), (Some("Main ledger"), Some("database")));
        assert_eq!(drawing.shapes["q"].kind, Some("queue"));
        assert_eq!(drawing.groups["two"].label, "Team two");
        assert_eq!(db.group.as_deref(), Some("two"));
        assert_eq!(drawing.shapes.len(), 3);
    }

    #[test]
    fn texts_that_are_no_flowcharts_end() {
        for text in [
            "[[[[", "-->", "a --", "a -- b", "a[", "a@{", "\"", "subgraph", "end end", "a &",
            "é -->",
        ] {
            parse_flowchart(text, 1);
        }
    }
}
