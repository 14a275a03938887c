//! Reads a file into a [`Document`]: a tree of values, each with its place in the text.
//!
//! Bytes come in, from a file, from standard input or from memory; a document goes out, or all that
//! is wrong with its form. The *outline* (places, duplicate keys, limits) is made first, from the
//! events of `saphyr-parser`, which is not troubled by hostile input; only what passed it is given to
//! `serde_yaml`, which says what the values are.
//!
//! **Invariant:** no other room reads input files or knows about YAML; every value and every key has
//! a place; nothing is nested deeper than [`DEPTH_MAX`].

mod confinement;
pub mod edit;
mod explain;
mod file;
mod foreign;
mod lines;
mod offsets;
mod outline;
mod text;
mod values;

pub use confinement::{confine_to, confinement};
pub use file::{
    BYTES_MAX, STDIN, file_size, files_below, first_bytes, is_file, is_within, open_counted,
    project_folder,
};
pub use foreign::{FOREIGN_DEPTH_MAX, parse_foreign, read_foreign};
pub use lines::{LINE_MAX, Lines};

use crate::diagnostic::{Code, Diagnostic, Place, SourceId, Sources};

/// All bytes of a file that is no YAML, such as a font; `-` is standard input.
///
/// # Errors
/// Why it cannot be read.
pub fn read_bytes(path: &str) -> Result<Vec<u8>, Box<Diagnostic>> {
    file::all_bytes(path)
}

/// How deeply values may be nested.
pub const DEPTH_MAX: usize = 64;

/// How many keys and values a file may hold: half as many again as a million services with five million
/// dependencies have. Each takes some hundred bytes.
pub const VALUES_MAX: usize = 50_000_000;

/// A file as a tree of values.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The file.
    pub source: SourceId,
    /// The outermost value.
    pub root: Node,
    /// Problems of form that do not keep the document from being read: duplicate keys, merge keys.
    /// Whoever makes something of the document reports them with what is wrong with its meaning.
    pub problems: Vec<Diagnostic>,
}

/// A value with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it starts, to where it ends on the same line. A block mapping or list has the place of
    /// its first key or item, a value behind an alias that of the alias, a value that is not
    /// written (`key:`) that of its key.
    pub place: Place,
    /// Value that stands there.
    pub value: Value,
}

/// Value of a node.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing: `null`, `~`, or not written.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, whole or not.
    Number(Box<Number>),
    /// Any other scalar.
    Text(Box<str>),
    /// A list.
    Sequence(Box<[Node]>),
    /// Keys and values, in the order of the file. Of equal keys the first counts.
    Mapping(Box<[Entry]>),
}

/// A number, and how it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Number {
    /// Its value.
    pub value: f64,
    /// The text, such as `1.10`, for where a text is wanted after all.
    pub text: Box<str>,
}

/// One `key: value`.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: Key,
    /// The value.
    pub value: Node,
}

/// A key with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// The text of it, whatever it looks like: `1` and `true` are texts here.
    pub text: Box<str>,
    /// Where it is.
    pub place: Place,
}

impl Document {
    /// The value of a key of the outermost mapping.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.root.entries().iter().find(|entry| &*entry.key.text == key)
    }
}

impl Node {
    /// The entries of a mapping; none for everything else.
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; none for everything else.
    pub fn items(&self) -> &[Self] {
        match &self.value {
            Value::Sequence(items) => items,
            _ => &[],
        }
    }
}

impl Value {
    /// Returns the sort of the value, with its article.
    pub fn describe(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a yes or no",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::Sequence(_) => "a list",
            Self::Mapping(_) => "a mapping",
        }
    }
}

/// Reads a file; `-` is standard input, called [`STDIN`] in messages.
///
/// # Errors
/// All that keeps it from being read as a tree of values.
pub fn read_document(path: &str, sources: &mut Sources) -> Result<Document, Vec<Diagnostic>> {
    let bytes = provided_or_read(path, sources)?;
    parse_document(if path == "-" { STDIN } else { path }, bytes, sources)
}

/// Reads the text of a file that is not YAML, such as an earlier result; `-` is standard input.
///
/// # Errors
/// All that keeps it from being read as text.
pub fn read_text(path: &str, sources: &mut Sources) -> Result<SourceId, Vec<Diagnostic>> {
    let bytes = provided_or_read(path, sources)?;
    let name = if path == "-" { STDIN } else { path };
    text::add_source(name, bytes, sources).map_err(|problem| vec![*problem])
}

fn provided_or_read(path: &str, sources: &Sources) -> Result<Vec<u8>, Vec<Diagnostic>> {
    match sources.provided(path) {
        Some(bytes) => Ok(bytes.to_vec()),
        None => file::all_bytes(path).map_err(|problem| vec![*problem]),
    }
}

/// Reads what is in memory already, under a name for messages.
///
/// # Errors
/// All that keeps it from being read as a tree of values.
pub fn parse_document(
    name: &str,
    bytes: Vec<u8>,
    sources: &mut Sources,
) -> Result<Document, Vec<Diagnostic>> {
    if bytes.len() as u64 > BYTES_MAX {
        return Err(vec![Diagnostic::file_error(
            Code::TooLarge,
            format!("`{name}` has more than {} MiB", BYTES_MAX / (1024 * 1024)),
        )]);
    }
    let source = text::add_source(name, bytes, sources).map_err(|problem| vec![*problem])?;
    let text = &sources.get(source).text;
    let mut outline = outline::read_outline(text, source, VALUES_MAX)?;
    let Some(root) = outline.root.take() else {
        return Err(vec![
            Diagnostic::file_error(Code::Empty, format!("`{name}` holds nothing"))
                .help("a topology starts with `version: 1` and `topology: NAME`"),
        ]);
    };
    let (root, problems) =
        values::fill_scalars(root, text, source, outline.anchored, outline.problems)?;
    Ok(Document { source, root, problems })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree as one line, with the text at each place in angle brackets.
    fn shown(node: &Node, text: &str) -> String {
        let here = |place: Place| &text[place.span()];
        let place = here(node.place);
        match &node.value {
            Value::Null => format!("null<{place}>"),
            Value::Bool(value) => format!("{value}<{place}>"),
            Value::Number(number) => format!("{}={}<{place}>", number.text, number.value),
            Value::Text(value) => format!("{value:?}<{place}>"),
            Value::Sequence(items) => {
                let items: Vec<_> = items.iter().map(|item| shown(item, text)).collect();
                format!("[{}]<{place}>", items.join(", "))
            }
            Value::Mapping(entries) => {
                let entries: Vec<_> = entries
                    .iter()
                    .map(|entry| {
                        let value = shown(&entry.value, text);
                        format!("{}<{}>: {value}", entry.key.text, here(entry.key.place))
                    })
                    .collect();
                format!("{{{}}}<{place}>", entries.join(", "))
            }
        }
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let mut sources = Sources::default();
        let document = parse_document("test.yaml", text.as_bytes().to_vec(), &mut sources)
            .unwrap_or_else(|problems| panic!("{problems:#?}"));
        assert_eq!(document.problems, []);
        assert_eq!(shown(&document.root, text), expected);
    }

    #[track_caller]
    fn refused(text: &str) -> Diagnostic {
        let mut sources = Sources::default();
        let mut problems =
            parse_document("test.yaml", text.as_bytes().to_vec(), &mut sources).expect_err("wrong");
        assert_eq!(problems.len(), 1, "{problems:#?}");
        problems.remove(0)
    }

    #[test]
    fn every_kind_of_value_has_its_place() {
        check(
            "a: b\nc: [1.10, true, null, 'q']\n\"d e\":\n  - x\n  - 0x10\n",
            "{a<a>: \"b\"<b>, c<c>: [1.10=1.1<1.10>, true<true>, null<null>, \"q\"<'q'>]<[1.10, true, \
             null, 'q']>, d e<\"d e\">: [\"x\"<x>, 0x10=16<0x10>]<x>}<a>",
        );
    }

    #[test]
    fn what_yaml_1_1_called_booleans_are_texts() {
        check("a: [no, on, y]", "{a<a>: [\"no\"<no>, \"on\"<on>, \"y\"<y>]<[no, on, y]>}<a>");
    }

    #[test]
    fn a_value_that_is_not_written_has_the_place_of_its_key() {
        check(
            "a:\nb: {c: , d}",
            "{a<a>: null<a>, b<b>: {c<c>: null<c>, d<d>: null<d>}<{c: , d}>}<a>",
        );
    }

    #[test]
    fn a_value_behind_an_alias_has_the_place_of_the_alias() {
        check(
            "a: &x {k: 1}\nb: *x\n",
            "{a<a>: {k<k>: 1=1<1>}<&x {k: 1}>, b<b>: {k<*x>: 1=1<*x>}<*x>}<a>",
        );
    }

    #[test]
    fn places_hold_behind_foreign_letters_and_carriage_returns() {
        check("# Läden ☃\r\nä: ☃\r\nb: c\r\n", "{ä<ä>: \"☃\"<☃>, b<b>: \"c\"<c>}<ä>");
    }

    #[test]
    fn a_place_ends_with_its_line() {
        check(
            "a: {b: 1,\n  c: 2}\nd: |\n  e\n  f\n",
            "{a<a>: {b<b>: 1=1<1>, c<c>: 2=2<2>}<{b: 1,>, d<d>: \"e\\nf\\n\"<e>}<a>",
        );
    }

    #[test]
    fn a_collection_in_brackets_has_the_place_of_all_of_them() {
        check(
            "a: { b: [ c ] }\nd: &x [ # why\n  e ]\n",
            "{a<a>: {b<b>: [\"c\"<c>]<[ c ]>}<{ b: [ c ] }>, d<d>: [\"e\"<e>]<&x [ # why>}<a>",
        );
    }

    #[test]
    fn a_long_file_is_read_in_stretches_to_the_same_tree() {
        use std::fmt::Write as _;
        let mut text = String::from("version: 1\nservices:\n");
        for index in 0..40_000 {
            writeln!(text, "  s{index}:\n    tier: {index} # n\n    paths: [\"a\", b]").unwrap();
        }
        text.push_str("# the end\nflows:\n  f: { rate: 1/s }\n");
        let mut sources = Sources::default();
        let document = parse_document("x", text.clone().into_bytes(), &mut sources).unwrap();
        let services = &document.get("services").unwrap().value;
        assert_eq!(services.entries().len(), 40_000);
        for (index, entry) in services.entries().iter().enumerate() {
            let Value::Number(tier) = &entry.value.entries()[0].value.value else { panic!() };
            assert!((tier.value - index as f64).abs() < 0.5);
            assert_eq!(entry.value.entries()[1].value.items()[1].value, Value::Text("b".into()));
        }
        assert_eq!(document.get("flows").unwrap().value.entries().len(), 1);
    }

    #[test]
    fn duplicate_and_merge_keys_are_found_though_the_rest_can_be_read() {
        let mut sources = Sources::default();
        let text = "a: &x 1\nb: {<<: *x, c: 1, c: 2}\na: 2";
        let document = parse_document("x", text.as_bytes().to_vec(), &mut sources).unwrap();
        let codes: Vec<Code> = document.problems.iter().map(|problem| problem.code).collect();
        assert_eq!(codes, [Code::MergeKey, Code::DuplicateKey, Code::DuplicateKey]);
        assert_eq!(document.get("a").unwrap().value.place.start, 3);
    }

    #[test]
    fn many_keys_are_compared_quickly() {
        use std::fmt::Write as _;
        let mut text = String::new();
        for index in 0..50_000 {
            writeln!(text, "k{index}: 1").unwrap();
        }
        text.push_str("k7: 2\n");
        let mut sources = Sources::default();
        let document = parse_document("x", text.into_bytes(), &mut sources).unwrap();
        assert_eq!(document.problems.len(), 1);
        assert_eq!(document.problems[0].message, "`k7` is written twice");
    }

    #[test]
    fn depth_is_limited_and_counts_what_is_behind_aliases() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let parse = |text: String| parse_document("x", text.into_bytes(), &mut Sources::default());
        assert!(parse(nested(DEPTH_MAX)).is_ok());
        assert_eq!(refused(&nested(DEPTH_MAX + 1)).code, Code::TooDeep);
        assert!(parse(format!("a: &a {}\nb: *a\n", nested(DEPTH_MAX - 1))).is_ok());
        let behind = format!("a: &a {}\nb: [*a]\n", nested(DEPTH_MAX - 1));
        assert_eq!(refused(&behind).code, Code::TooDeep);
    }

    #[test]
    fn what_is_no_single_document_is_refused() {
        assert_eq!(refused("").code, Code::Empty);
        assert_eq!(refused("# only a comment\n\n").code, Code::Empty);
        assert_eq!(refused("---\n").code, Code::Empty);
        assert_eq!(refused("a: 1\n---\nb: 2\n").code, Code::SeveralDocuments);
        assert_eq!(refused("a: !Ref b\n").code, Code::Tag);
        assert_eq!(refused("? [a]\n: b\n").code, Code::Syntax);
        assert_eq!(refused("a: 1\n\tb: 2\n").code, Code::Syntax);
        assert_eq!(refused("a: 'b\n").code, Code::Syntax);
        assert_eq!(refused("a: \u{0}\n").code, Code::Syntax);
    }
}
