//! Edits of a YAML text that leave everything else as it is: comments, order, style.
//!
//! A text and what to set come in, the edited text goes out. Every edit is checked by reading the
//! result: it must be the tree that was there with that one thing set, or the edit is refused. So an
//! anchor that others refer to, or a form that is not understood, can do no harm.

use super::{Document, Entry, Key, Node, Value, parse_document};
use crate::diagnostic::{Place, Sources};

/// A step of a path into a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EditPlace {
    /// The value of a key.
    Key(String),
    /// An item of a list, counted from 0.
    Item(usize),
}

/// Edit to make at the end of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EditAction {
    /// Sets a key of a mapping, whether it is there or not.
    Set {
        /// The key.
        key: String,
        /// Its value, as YAML on one line.
        value: String,
        /// The key that a scalar stands for where there is no mapping yet: `service` where
        /// `payments` is short for `{ service: payments }`.
        short: Option<&'static str>,
    },
    /// Puts an item, as YAML on one line, before the first of a list.
    First(String),
    /// Puts an item, as YAML on one line, behind the last of a list.
    Last(String),
}

/// One edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Where.
    pub path: Vec<EditPlace>,
    /// What.
    pub action: EditAction,
}

/// Why a text cannot be edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The path leads nowhere.
    #[error("there is no such place in the file")]
    Nowhere,
    /// It is written once and referred to from several places.
    #[error("it is written through an alias or behind an anchor")]
    Alias,
    /// It is written in a way that cannot be edited without touching more than that.
    #[error("it is written in a form that cannot be edited on its own")]
    Form,
}

/// A text with some edits made, one after the other.
///
/// # Errors
/// Why one of them cannot be made.
pub fn apply_edits(text: &str, edits: &[Edit]) -> Result<String, Refusal> {
    let mut text = text.to_owned();
    // One after the other, each on a fresh reading: an edit moves the places of everything behind
    // it.
    for edit in edits {
        text = apply_edit(&text, edit)?;
    }
    Ok(text)
}

/// A stretch of bytes and what stands there instead.
struct Splice {
    start: usize,
    end: usize,
    new: String,
}

fn apply_edit(text: &str, edit: &Edit) -> Result<String, Refusal> {
    let document = read_document(text).ok_or(Refusal::Nowhere)?;
    let node = find_node(&document.root, &edit.path, text)?;
    // The tree that must come out is made on its own, so that the text is checked against what was
    // meant and not against what was written.
    let mut wanted = document.root.clone();
    set_value(&mut wanted, &edit.path, &edit.action).ok_or(Refusal::Form)?;
    let editor = Editor { text, newline: if text.contains("\r\n") { "\r\n" } else { "\n" } };
    // A way that looks right may still be wrong in YAML, so each is tried and read again; the first
    // whose tree is the wanted one is taken.
    for splice in editor.possible_splices(node, &edit.action)? {
        let mut edited = text.to_owned();
        edited.replace_range(splice.start..splice.end, &splice.new);
        let reread =
            // The edit must not bring problems of its own, such as a key written twice; those that
            // were there before stay.
            read_document(&edited).filter(|read| read.problems.len() == document.problems.len());
        if reread.is_some_and(|reread| is_same(&reread.root, &wanted)) {
            return Ok(edited);
        }
    }
    // What an anchor names changes wherever it is referred to.
    Err(if text.contains('&') { Refusal::Alias } else { Refusal::Form })
}

fn read_document(text: &str) -> Option<Document> {
    parse_document("edited", text.as_bytes().to_vec(), &mut Sources::default()).ok()
}

/// Finds the value at a path.
fn find_node<'a>(root: &'a Node, path: &[EditPlace], text: &str) -> Result<&'a Node, Refusal> {
    let mut node = root;
    for at in path {
        let next = match at {
            EditPlace::Key(key) => node
                .entries()
                .iter()
                .find(|entry| *entry.key.text == **key)
                .map(|entry| &entry.value),
            EditPlace::Item(index) => node.items().get(*index),
        };
        node = next.ok_or(Refusal::Nowhere)?;
        // The tree shows the value of the anchor here, but its text stands elsewhere, where it
        // serves others too.
        if text[node.place.span()].starts_with('*') {
            return Err(Refusal::Alias);
        }
    }
    Ok(node)
}

/// Makes the edit in the tree; nothing where the tree has no such place.
fn set_value(root: &mut Node, path: &[EditPlace], action: &EditAction) -> Option<()> {
    let mut node = root;
    for at in path {
        node = match (at, &mut node.value) {
            (EditPlace::Key(key), Value::Mapping(entries)) => {
                &mut entries.iter_mut().find(|entry| *entry.key.text == **key)?.value
            }
            (EditPlace::Item(index), Value::Sequence(items)) => items.get_mut(*index)?,
            _ => return None,
        };
    }
    // Read as the value of a key, as it will stand in the file: on its own, a text with a colon
    // would be read as a mapping.
    let value = |text: &str| Some(read_document(&format!("it: {text}"))?.get("it")?.value.clone());
    let entry = |key: &str, value: Node| Entry {
        key: Key { text: key.into(), place: Place::default() },
        value,
    };
    match (action, &mut node.value) {
        (EditAction::Set { key, value: new, .. }, Value::Mapping(entries)) => {
            let new = value(new)?;
            if let Some(entry) = entries.iter_mut().find(|entry| *entry.key.text == **key) {
                entry.value = new;
            } else {
                let mut all = std::mem::take(entries).into_vec();
                all.push(entry(key, new));
                *entries = all.into();
            }
        }
        (EditAction::Set { key, value: new, short }, old) => {
            let mut entries = vec![entry(key, value(new)?)];
            match (&*old, short) {
                (Value::Null, _) => {}
                (Value::Sequence(_), _) | (_, None) => return None,
                // The scalar is what is being replaced, so nothing of it is kept.
                (_, Some(short)) if **short == **key => {}
                (_, Some(short)) => {
                    let scalar = Node { place: Place::default(), value: old.clone() };
                    entries.insert(0, entry(short, scalar));
                }
            }
            *old = Value::Mapping(entries.into());
        }
        (EditAction::First(item), Value::Sequence(items)) => {
            let mut all = std::mem::take(items).into_vec();
            all.insert(0, value(item)?);
            *items = all.into();
        }
        (EditAction::Last(item), Value::Sequence(items)) => {
            let mut all = std::mem::take(items).into_vec();
            all.push(value(item)?);
            *items = all.into();
        }
        _ => return None,
    }
    Some(())
}

/// Whether two trees say the same: the order of keys does not matter.
fn is_same(a: &Node, b: &Node) -> bool {
    match (&a.value, &b.value) {
        (Value::Sequence(a), Value::Sequence(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        (Value::Mapping(a), Value::Mapping(b)) => {
            // An added key may stand anywhere in the mapping, and a person's order must not decide.
            let sorted = |entries: &[Entry]| {
                let mut order: Vec<usize> = (0..entries.len()).collect();
                order.sort_by(|x, y| entries[*x].key.text.cmp(&entries[*y].key.text));
                order
            };
            a.len() == b.len()
                && sorted(a).into_iter().zip(sorted(b)).all(|(x, y)| {
                    a[x].key.text == b[y].key.text && is_same(&a[x].value, &b[y].value)
                })
        }
        (a, b) => a == b,
    }
}

struct Editor<'a> {
    text: &'a str,
    newline: &'static str,
}

impl Editor<'_> {
    /// Ways to make an edit, best first.
    fn possible_splices(&self, node: &Node, action: &EditAction) -> Result<Vec<Splice>, Refusal> {
        match (action, &node.value) {
            (EditAction::Set { key, value, .. }, Value::Mapping(entries)) => {
                match entries.iter().find(|entry| *entry.key.text == **key) {
                    Some(entry) => Ok(vec![self.replace_value(entry, value)?]),
                    None => self.add_key(node, entries, &format!("{key}: {value}")),
                }
            }
            (EditAction::Set { key, value, short }, _) => {
                Ok(vec![self.unfold_scalar(node, key, value, *short)?])
            }
            (EditAction::First(item), Value::Sequence(items)) => {
                self.add_item(node, items, item, true)
            }
            (EditAction::Last(item), Value::Sequence(items)) => {
                self.add_item(node, items, item, false)
            }
            _ => Err(Refusal::Form),
        }
    }

    /// The value of a key replaced by another.
    fn replace_value(&self, entry: &Entry, value: &str) -> Result<Splice, Refusal> {
        let node = &entry.value;
        // A value that is not written has the place of its key, so there is no text to replace.
        if node.place == entry.key.place {
            return self.behind_colon(node.place, value);
        }
        let (start, end) = self.node_range(node).ok_or(Refusal::Form)?;
        if self.text[start..end].starts_with('*') {
            return Err(Refusal::Alias);
        }
        // The end of a flow or a scalar is exact, so only what lies between is touched.
        if is_flow(self.text, node) || !matches!(node.value, Value::Mapping(_) | Value::Sequence(_))
        {
            return Ok(Splice { start, end, new: value.to_owned() });
        }
        // A block stands on lines of its own; with comments in it, it is not ours to replace.
        let colon = self.colon_end(entry.key.place.end as usize).ok_or(Refusal::Form)?;
        if self.text[colon..end].contains('#') {
            return Err(Refusal::Form);
        }
        Ok(Splice { start: colon, end, new: format!(" {value}") })
    }

    /// A key more in a mapping.
    fn add_key(&self, node: &Node, entries: &[Entry], pair: &str) -> Result<Vec<Splice>, Refusal> {
        let start = node.place.start as usize;
        if is_flow(self.text, node) {
            // An empty pair of brackets is written anew: a comma behind nothing would not be YAML.
            let at = match entries.last() {
                None => {
                    let (start, end) = self.node_range(node).ok_or(Refusal::Form)?;
                    return Ok(vec![Splice { start, end, new: format!("{{ {pair} }}") }]);
                }
                Some(last) => self.node_range(&last.value).ok_or(Refusal::Form)?.1,
            };
            return Ok(vec![Splice { start: at, end: at, new: format!(", {pair}") }]);
        }
        // With an anchor the same mapping is read wherever an alias of it stands.
        if self.text[start..].starts_with('&') {
            return Err(Refusal::Alias);
        }
        // All keys of a block stand in one column, that of the first.
        let indent = self.indent_at(start);
        // Behind the last key whose end can be told, else before the first.
        let mut ways: Vec<Splice> = entries
            .iter()
            .rev()
            // The place of such a value is its key, which does not tell where the entry ends.
            .filter(|entry| entry.value.place != entry.key.place)
            .filter_map(|entry| self.end_of_line(self.node_range(&entry.value)?.1))
            .map(|at| Splice { start: at, end: at, new: format!("{}{indent}{pair}", self.newline) })
            .collect();
        let new = format!("{pair}{}{indent}", self.newline);
        ways.push(Splice { start, end: start, new });
        Ok(ways)
    }

    /// A mapping in the place of a scalar, or of nothing.
    fn unfold_scalar(
        &self,
        node: &Node,
        key: &str,
        value: &str,
        short: Option<&'static str>,
    ) -> Result<Splice, Refusal> {
        let (start, end) = (node.place.start as usize, node.place.end as usize);
        let written = &self.text[start..end];
        if matches!(node.value, Value::Null) {
            let new = format!("{{ {key}: {value} }}");
            return match written {
                "~" | "null" | "Null" | "NULL" => Ok(Splice { start, end, new }),
                _ => self.behind_colon(node.place, &new),
            };
        }
        // Without a short form the scalar has no key under which it could be kept.
        let short = short.ok_or(Refusal::Form)?;
        let new = if short == key {
            format!("{{ {key}: {value} }}")
        } else {
            format!("{{ {short}: {written}, {key}: {value} }}")
        };
        Ok(Splice { start, end, new })
    }

    /// An item more in a list.
    fn add_item(
        &self,
        node: &Node,
        items: &[Node],
        item: &str,
        is_first: bool,
    ) -> Result<Vec<Splice>, Refusal> {
        let (first, last) = match items {
            // A list without items is always in brackets, since a block needs a dash.
            [] => {
                let (start, end) = self.node_range(node).ok_or(Refusal::Form)?;
                return Ok(vec![Splice { start, end, new: format!("[{item}]") }]);
            }
            [only] => (only, only),
            [first, .., last] => (first, last),
        };
        let at = first.place.start as usize;
        if is_flow(self.text, node) {
            let end = self.node_range(last).ok_or(Refusal::Form)?.1;
            return Ok(vec![if is_first {
                Splice { start: at, end: at, new: format!("{item}, ") }
            } else {
                Splice { start: end, end, new: format!(", {item}") }
            }]);
        }
        let line = self.text[..at].rfind('\n').map_or(0, |text| text + 1);
        // The nearest dash: in `- - a` those before it belong to the lists around this one.
        let dash = line + self.text[line..at].rfind('-').ok_or(Refusal::Form)?;
        let indent = self.indent_at(dash);
        Ok(vec![if is_first {
            Splice { start: dash, end: dash, new: format!("- {item}{}{indent}", self.newline) }
        } else {
            let end = self.node_range(last).and_then(|(_, end)| self.end_of_line(end));
            let end = end.ok_or(Refusal::Form)?;
            Splice { start: end, end, new: format!("{}{indent}- {item}", self.newline) }
        }])
    }

    fn behind_colon(&self, key: Place, value: &str) -> Result<Splice, Refusal> {
        let colon = self.colon_end(key.end as usize).ok_or(Refusal::Form)?;
        Ok(Splice { start: colon, end: colon, new: format!(" {value}") })
    }

    /// Where the `:` behind a key ends.
    fn colon_end(&self, end_of_key: usize) -> Option<usize> {
        let rest = &self.text[end_of_key..];
        // YAML allows blanks between a key and its colon.
        let blank = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        rest[blank..].starts_with(':').then_some(end_of_key + blank + 1)
    }

    /// The white space that brings a line to the column of a place.
    fn indent_at(&self, at: usize) -> String {
        let line = self.text[..at].rfind('\n').map_or(0, |text| text + 1);
        // Spaces also under a dash, as in `- key: value`: the next key stands in the column of this
        // one.
        self.text[line..at].chars().map(|_| ' ').collect()
    }

    /// The end of the line, where nothing but a comment follows.
    fn end_of_line(&self, from: usize) -> Option<usize> {
        let rest = &self.text[from..];
        let line = rest.split('\n').next().unwrap_or(rest);
        let line = line.strip_suffix('\r').unwrap_or(line);
        let said = line.trim_start();
        // With other text on the line the value does not end here, and an insertion would split it.
        (said.is_empty() || said.starts_with('#')).then_some(from + line.len())
    }

    /// From where to where a value is written; nothing where that cannot be told.
    fn node_range(&self, node: &Node) -> Option<(usize, usize)> {
        let start = node.place.start as usize;
        let inner = match &node.value {
            Value::Sequence(items) => items.last(),
            Value::Mapping(entries) => match entries.last() {
                // An entry without a value ends at its colon, of which the tree knows nothing.
                Some(last) if last.value.place == last.key.place => return None,
                last => last.map(|last| &last.value),
            },
            // A block text ends where the indentation ends, and its place is its first line only.
            Value::Text(_) if self.text[start..].starts_with(['|', '>']) => return None,
            _ => return Some((start, node.place.end as usize)),
        };
        let end = match inner {
            Some(last) => self.node_range(last)?.1,
            None => start + 1,
        };
        if !is_flow(self.text, node) {
            // A value with an anchor starts at the anchor: its brackets, and so its end, are not
            // seen.
            return (!self.text[start..].starts_with('&')).then_some((start, end));
        }
        // Between the last item and the closing bracket may stand blanks, a comma and comments.
        let mut rest = &self.text[end..];
        loop {
            rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
            match rest.strip_prefix('#') {
                Some(comment) => rest = &comment[comment.find('\n')?..],
                None => break,
            }
        }
        rest.starts_with([']', '}']).then(|| (start, self.text.len() - rest.len() + 1))
    }
}

/// Whether a list or mapping is written in brackets.
fn is_flow(text: &str, node: &Node) -> bool {
    let is_collection = matches!(node.value, Value::Sequence(_) | Value::Mapping(_));
    is_collection && text[node.place.start as usize..].starts_with(['[', '{']) && {
        // The first key or item of a block may be a bracket itself: then it has the place of the block.
        let first = match &node.value {
            Value::Sequence(items) => items.first().map(|item| item.place.start),
            Value::Mapping(entries) => entries.first().map(|entry| entry.key.place.start),
            _ => None,
        };
        first != Some(node.place.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Vec<EditPlace> {
        let step = |text: &str| {
            text.parse().map_or_else(|_| EditPlace::Key(text.to_owned()), EditPlace::Item)
        };
        text.split('.').filter(|text| !text.is_empty()).map(step).collect()
    }

    fn setting(at: &str, key: &str, value: &str) -> Edit {
        let (key, value) = (key.to_owned(), value.to_owned());
        Edit { path: path(at), action: EditAction::Set { key, value, short: Some("service") } }
    }

    #[track_caller]
    fn check(text: &str, edit: Edit, expected: &str) {
        assert_eq!(apply_edits(text, &[edit]).as_deref(), Ok(expected));
    }

    #[test]
    fn a_short_form_becomes_a_mapping() {
        check(
            "a: # one\n  - x # why\n  - 'y'\n",
            setting("a.1", "timeout", "2s"),
            "a: # one\n  - x # why\n  - { service: 'y', timeout: 2s }\n",
        );
        check("a:\nb: 1\n", setting("a", "k", "v"), "a: { k: v }\nb: 1\n");
        check("a: ~ # none\n", setting("a", "k", "v"), "a: { k: v } # none\n");
    }

    #[test]
    fn a_key_is_added_in_the_style_of_the_mapping() {
        check(
            "a: { b: [1, 2], # two\n  c: 3 } # end\n",
            setting("a", "k", "v"),
            "a: { b: [1, 2], # two\n  c: 3, k: v } # end\n",
        );
        check(
            "a:\n  - service: x # why\n    more:\n      z: 1\n  - y\n",
            setting("a.0", "k", "v"),
            "a:\n  - service: x # why\n    more:\n      z: 1\n    k: v\n  - y\n",
        );
        check("a:\n  b:\n    c: 1\n", setting("a", "k", "v"), "a:\n  b:\n    c: 1\n  k: v\n");
        check("a: {}\r\nb: 1\r\n", setting("a", "k", "v"), "a: { k: v }\r\nb: 1\r\n");
        check("a: 1\r\nb: 2", setting("", "k", "v"), "a: 1\r\nb: 2\r\nk: v");
    }

    #[test]
    fn a_value_that_is_there_is_replaced() {
        check("a: { k: none, b: 1 }\n", setting("a", "k", "v"), "a: { k: v, b: 1 }\n");
        check("k: { a: [1,\n 2] } # c\nb: 1\n", setting("", "k", "v"), "k: v # c\nb: 1\n");
        check("k:\n  a: 1\n  b: 2\nc: 3\n", setting("", "k", "v"), "k: v\nc: 3\n");
        check("k:\nc: 3\n", setting("", "k", "v"), "k: v\nc: 3\n");
    }

    #[test]
    fn items_are_added_at_both_ends_of_a_list() {
        let first =
            |at: &str| Edit { path: path(at), action: EditAction::First("{ x: 1 }".to_owned()) };
        let last = |at: &str| Edit { path: path(at), action: EditAction::Last("z".to_owned()) };
        check("a: [b, c]\n", first("a"), "a: [{ x: 1 }, b, c]\n");
        check("a: [b, c] # d\n", last("a"), "a: [b, c, z] # d\n");
        check("a: []\n", last("a"), "a: [z]\n");
        check("a:\n- { b: 1 }\n- c\n", first("a"), "a:\n- { x: 1 }\n- { b: 1 }\n- c\n");
        check("a:\n  - b # c\nd: 1\n", last("a"), "a:\n  - b # c\n  - z\nd: 1\n");
    }

    #[test]
    fn what_would_change_more_than_was_asked_for_is_refused() {
        let refused = |text: &str, edit: Edit| apply_edits(text, &[edit]).unwrap_err();
        assert_eq!(refused("a: &x { b: 1 }\nc: *x\n", setting("c", "k", "v")), Refusal::Alias);
        assert_eq!(refused("a: &x\n  b: 1\nc: *x\n", setting("a", "k", "v")), Refusal::Alias);
        assert_eq!(refused("k:\n  a: 1 # why\n  b: 2\n", setting("", "k", "v")), Refusal::Form);
        assert_eq!(refused("a: 1\n", setting("b", "k", "v")), Refusal::Nowhere);
        assert_eq!(refused("a: [1]\n", setting("a", "k", "v")), Refusal::Form);
    }
}
