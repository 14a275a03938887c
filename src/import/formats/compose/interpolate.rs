//! `$NAME` and `${NAME:-default}` in Compose files, and the `.env` files that hold the values.

use std::collections::BTreeMap;

/// How deeply defaults may be nested in one another.
const DEPTH_MAX: usize = 16;

/// A text longer than this is left as it is: values that double with every use would grow for ever.
const TEXT_MAX: usize = 64 * 1024;

/// Values of the variables in Compose files.
#[derive(Clone, Debug, Default)]
pub(super) struct ComposeVariables {
    /// Variables that are set.
    pub(super) values: BTreeMap<String, String>,
    /// Values from an example of the file of variables, where the file itself does not set them.
    pub(super) examples: BTreeMap<String, String>,
}

/// A text with its variables filled in.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Filled {
    pub(super) text: String,
    /// Names without a value and without a default, which Compose takes for empty.
    pub(super) unset: Vec<String>,
    /// A value comes from an example.
    pub(super) is_example: bool,
}

/// Reads the variables of a `.env` file; later ones may use earlier ones, and those set outside.
pub(super) fn read_variables(text: &str, outer: &ComposeVariables) -> BTreeMap<String, String> {
    let mut known = ComposeVariables { values: BTreeMap::new(), examples: outer.values.clone() };
    for line in text.lines() {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        if line.starts_with('#') {
            continue;
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        let value = value.trim();
        let value = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let inner = value[1..].split(quote).next().unwrap_or_default();
                // Single quotes keep a `$` as it is.
                if quote == '\'' { inner.to_owned() } else { fill_variables(inner, &known).text }
            }
            _ => {
                // Without quotes a comment needs a space before it: a `#` alone may belong to the
                // value.
                fill_variables(value.split(" #").next().unwrap_or_default().trim_end(), &known).text
            }
        };
        known.values.insert(key.trim().to_owned(), value);
    }
    known.values
}

/// Fills in the variables of a text; those that are not set become nothing, as Compose has it.
pub(super) fn fill_variables(text: &str, known: &ComposeVariables) -> Filled {
    let mut filled = Filled::default();
    filled.text = fill_nested(text, known, 0, &mut filled);
    filled
}

fn fill_nested(text: &str, known: &ComposeVariables, depth: usize, notes: &mut Filled) -> String {
    if !text.contains('$') || depth > DEPTH_MAX {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let Some(end) = closing_brace(after) else {
                out.push_str("${");
                rest = after;
                continue;
            };
            out.push_str(&fill_braced(&after[..end], known, depth, notes));
            rest = &after[end + 1..];
        } else {
            let end = rest.find(|c: char| !is_name(c)).unwrap_or(rest.len());
            if end == 0 {
                out.push('$');
            } else {
                out.push_str(&value_of(&rest[..end], known, notes));
            }
            rest = &rest[end..];
        }
        if out.len() > TEXT_MAX {
            return text.to_owned();
        }
    }
    out.push_str(rest);
    out
}

/// The value of a name without a default.
fn value_of(name: &str, known: &ComposeVariables, notes: &mut Filled) -> String {
    if let Some(value) = known.values.get(name) {
        return value.clone();
    }
    if let Some(value) = known.examples.get(name) {
        notes.is_example = true;
        notes.unset.push(name.to_owned());
        return value.clone();
    }
    notes.unset.push(name.to_owned());
    String::new()
}

/// Fills in the expression between two braces.
fn fill_braced(inner: &str, known: &ComposeVariables, depth: usize, notes: &mut Filled) -> String {
    let end = inner.find(|c: char| !is_name(c)).unwrap_or(inner.len());
    let (name, operator) = inner.split_at(end);
    let value = known.values.get(name);
    let is_filled = value.is_some_and(|value| !value.is_empty());
    // Only a default that is used is filled in: names in one that is not used are not missed.
    let mut default = |text: &str| fill_nested(text, known, depth + 1, notes);
    // With a colon an empty value counts as unset; without one it counts as a value.
    if let Some(text) = operator.strip_prefix(":-") {
        if is_filled { value.cloned().unwrap_or_default() } else { default(text) }
    } else if let Some(text) = operator.strip_prefix('-') {
        value.cloned().unwrap_or_else(|| default(text))
    } else if let Some(text) = operator.strip_prefix(":+") {
        if is_filled { default(text) } else { String::new() }
    } else if let Some(text) = operator.strip_prefix('+') {
        if value.is_some() { default(text) } else { String::new() }
    } else {
        value_of(name, known, notes)
    }
}

/// Where the brace closes that was opened before.
fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_defaults_and_dollars_are_expanded() {
        let none = ComposeVariables::default();
        let values =
            read_variables("A=cart\nB=${A}:70 # port\nexport C='$A'\n# D=1\nE=\"x$A\"\n", &none);
        assert_eq!(values["B"], "cart:70");
        assert_eq!(values["C"], "$A");
        assert_eq!(values["E"], "xcart");
        let known = ComposeVariables { values, ..none };
        let expand = |text: &str| fill_variables(text, &known).text;
        assert_eq!(
            expand("http://${A}/$B $$x ${F:-${A}-1} ${F-y}${F:?no}"),
            "http://cart/cart:70 $x cart-1 y"
        );
        assert_eq!(expand("${A:+set}${F:+set} $ ${open"), "set $ ${open");
    }

    #[test]
    fn what_is_not_set_is_named_and_an_example_fills_in() {
        let examples = read_variables("HOST=ledger\n", &ComposeVariables::default());
        let known = ComposeVariables { examples, ..ComposeVariables::default() };
        let filled = fill_variables("${HOST}:${PORT}${X:-1}", &known);
        assert_eq!((filled.text.as_str(), filled.is_example), ("ledger:1", true));
        assert_eq!(filled.unset, ["HOST", "PORT"]);
    }

    #[test]
    fn values_that_double_do_not_grow_for_ever() {
        let mut text = String::from("X0=aaaaaaaaaaaaaaaa\n");
        for level in 1..60 {
            text += &format!("X{level}=$X{0}$X{0}\n", level - 1);
        }
        assert!(
            read_variables(&text, &ComposeVariables::default())
                .values()
                .all(|value| value.len() < 200_000)
        );
    }
}
