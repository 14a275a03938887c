//! Architecture drawings of Mermaid: groups, services with icons, and lines with sides.

use crate::import::formats::drawing::{
    ARROWS_MAX, Arrow, BoxRole, Drawing, DrawnFrame, Heads, kind_of_words, plain_label,
};

/// Reads the text behind the header; `first` is the number of its first line.
pub(super) fn parse_architecture(text: &str, first: usize) -> Drawing {
    let mut drawing = Drawing::default();
    for (index, line) in text.lines().enumerate() {
        // `%%` begins a comment, also behind a statement.
        let line = line.split("%%").next().unwrap_or_default().trim();
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        match word {
            "group" | "service" | "junction" => parse_element(word, rest, &mut drawing),
            "title" | "accTitle" | "accDescr" | "align" => {}
            _ if drawing.arrows.len() < ARROWS_MAX => parse_edge(line, first + index, &mut drawing),
            _ => {}
        }
    }
    drawing
}

/// Reads `id(icon)[title] in parent`.
fn parse_element(word: &str, rest: &str, drawing: &mut Drawing) {
    let (own, parent) = match rest.rsplit_once(" in ") {
        // Titles and icons may hold the word `in`.
        Some((own, parent)) if !parent.contains([']', ')']) => (own, Some(parent.trim())),
        _ => (rest, None),
    };
    let id: String = own.chars().take_while(|c| !matches!(c, '(' | '[' | ' ' | '"')).collect();
    if id.is_empty() {
        return;
    }
    let between = |open: char, close: char| {
        let start = own.find(open)? + 1;
        let end = own[start..].find(close)? + start;
        Some(own[start..end].trim())
    };
    let (icon, title) = (between('(', ')').unwrap_or_default(), between('[', ']').map(plain_label));
    if word == "group" {
        let label = title.unwrap_or_else(|| id.clone());
        let group = DrawnFrame { label, parent: parent.map(str::to_owned), is_team: true };
        drawing.groups.insert(id, group);
        return;
    }
    let shape = drawing.shape_or_new(&id, parent);
    shape.label = title.filter(|title| *title != id);
    shape.kind = kind_of_icon(icon);
    shape.is_entry = icon == "internet";
    if word == "junction" {
        shape.role = BoxRole::Junction;
    }
}

fn kind_of_icon(icon: &str) -> Option<&'static str> {
    match icon {
        "database" => Some("database"),
        "server" | "cloud" | "internet" | "disk" => None,
        _ => kind_of_words(icon),
    }
}

/// Reads `a:R --> L:b`, `a{group}:R -[label]- L:b` and `a:R <--> L:b`.
fn parse_edge(line: &str, number: usize, drawing: &mut Drawing) {
    // An identifier may hold a dash: the line begins behind a side or a space.
    let start = match line.find(':') {
        Some(colon) => line[colon..].find(['<', '-']).map(|at| colon + at),
        None => line.find(" -").or_else(|| line.find(" <")).map(|at| at + 1),
    };
    let Some(start) = start else { return };
    let (left, rest) = line.split_at(start);
    let end = |c: char| matches!(c, '-' | '<' | '>');
    let (body, right) = match rest.find('[') {
        Some(open) if rest[..open].chars().all(end) => {
            let Some(close) = rest.find(']') else { return };
            let after = &rest[close + 1..];
            let tail = after.chars().take_while(|c| end(*c)).count();
            (format!("{}{}", &rest[..open], &after[..tail]), &after[tail..])
        }
        _ => {
            let count = rest.chars().take_while(|c| end(*c)).count();
            (rest[..count].to_owned(), &rest[count..])
        }
    };
    // The side stands behind the identifier on the left and before it on the right.
    let id = |text: &str, is_left: bool| {
        let text = text.trim();
        let id = match (text.split_once(':'), is_left) {
            (Some((id, _side)), true) => id,
            (Some((_side, id)), false) => id,
            (None, _) => text,
        };
        id.trim().trim_end_matches("{group}").to_owned()
    };
    let (from, to) = (id(left, true), id(right, false));
    if from.is_empty() || to.is_empty() {
        return;
    }
    let heads = match (body.starts_with('<'), body.ends_with('>')) {
        (true, true) => Heads::Both,
        (true, false) => Heads::Back,
        (false, true) => Heads::Forward,
        (false, false) => Heads::None,
    };
    // An arrow may end at a group, which must not become a box as well.
    for end in [&from, &to] {
        if !drawing.groups.contains_key(end) {
            drawing.shape_or_new(end, None);
        }
    }
    drawing.arrows.push(Arrow { from, to, heads, line: number, ..Arrow::default() });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, from: &str, to: &str, heads: Heads) {
        let drawing = parse_architecture(line, 1);
        let arrow = &drawing.arrows[0];
        assert_eq!((&*arrow.from, &*arrow.to, arrow.heads), (from, to, heads), "{line}");
    }

    #[test]
    fn lines_have_sides_heads_and_labels() {
        check("a:R --> L:b", "a", "b", Heads::Forward);
        check("a:R <-- L:b-c", "a", "b-c", Heads::Back);
        check("a-b:T <--> B:c{group}", "a-b", "c", Heads::Both);
        check("a{group}:R -[asks]-> L:b", "a", "b", Heads::Forward);
        check("a-z:R--L:b", "a-z", "b", Heads::None);
    }

    #[test]
    fn an_element_has_an_icon_a_title_and_a_group() {
        let drawing =
            parse_architecture("group g(cloud)[Shop]\nservice db(logos:aws-rds)[Main DB] in g", 1);
        let shape = &drawing.shapes["db"];
        assert_eq!((shape.label.as_deref(), shape.kind), (Some("Main DB"), Some("database")));
        assert_eq!(shape.group.as_deref(), Some("g"));
    }
}
