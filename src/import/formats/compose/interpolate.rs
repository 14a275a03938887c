//! `$NAME` and `${NAME:-default}` in Compose files, and the `.env` files that hold the values.

use std::collections::BTreeMap;

/// How deeply defaults may be nested in one another.
const DEPTH_MAX: usize = 16;

/// A text longer than this is left as it is: values that double with every use would grow for ever.
const TEXT_MAX: usize = 64 * 1024;

/// The variables of a `.env` file; later ones may use earlier ones.
pub(super) fn variables(text: &str) -> BTreeMap<String, String> {
    let mut known = BTreeMap::new();
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
                if quote == '\'' { inner.to_owned() } else { expand(inner, &known) }
            }
            _ => expand(value.split(" #").next().unwrap_or_default().trim_end(), &known),
        };
        known.insert(key.trim().to_owned(), value);
    }
    known
}

/// The text with its variables replaced; unknown ones become nothing, as Compose has it.
pub(super) fn expand(text: &str, known: &BTreeMap<String, String>) -> String {
    nested(text, known, 0)
}

fn nested(text: &str, known: &BTreeMap<String, String>, depth: usize) -> String {
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
            let Some(end) = closing(after) else {
                out.push_str("${");
                rest = after;
                continue;
            };
            out.push_str(&braced(&after[..end], known, depth));
            rest = &after[end + 1..];
        } else {
            let end = rest.find(|c: char| !is_name(c)).unwrap_or(rest.len());
            if end == 0 {
                out.push('$');
            } else {
                out.push_str(known.get(&rest[..end]).map_or("", String::as_str));
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

/// What stands between the braces.
fn braced(inner: &str, known: &BTreeMap<String, String>, depth: usize) -> String {
    let end = inner.find(|c: char| !is_name(c)).unwrap_or(inner.len());
    let (name, operator) = inner.split_at(end);
    let value = known.get(name);
    let filled = value.filter(|value| !value.is_empty());
    let default = |text: &str| nested(text, known, depth + 1);
    if let Some(text) = operator.strip_prefix(":-") {
        filled.cloned().unwrap_or_else(|| default(text))
    } else if let Some(text) = operator.strip_prefix('-') {
        value.cloned().unwrap_or_else(|| default(text))
    } else if let Some(text) = operator.strip_prefix(":+") {
        filled.map(|_| default(text)).unwrap_or_default()
    } else if let Some(text) = operator.strip_prefix('+') {
        value.map(|_| default(text)).unwrap_or_default()
    } else {
        value.cloned().unwrap_or_default()
    }
}

/// Where the brace closes that was opened before.
fn closing(text: &str) -> Option<usize> {
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
        let known = variables("A=cart\nB=${A}:70 # port\nexport C='$A'\n# D=1\nE=\"x$A\"\n");
        let expand = |text: &str| expand(text, &known);
        assert_eq!(known["B"], "cart:70");
        assert_eq!(known["C"], "$A");
        assert_eq!(known["E"], "xcart");
        assert_eq!(
            expand("http://${A}/$B $$x ${F:-${A}-1} ${F-y}${F:?no}"),
            "http://cart/cart:70 $x cart-1 y"
        );
        assert_eq!(expand("${A:+set}${F:+set} $ ${open"), "set $ ${open");
    }

    #[test]
    fn values_that_double_do_not_grow_for_ever() {
        let mut text = String::from("X0=aaaaaaaaaaaaaaaa\n");
        for level in 1..60 {
            text += &format!("X{level}=$X{0}$X{0}\n", level - 1);
        }
        assert!(variables(&text).values().all(|value| value.len() < 200_000));
    }
}
