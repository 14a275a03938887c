//! Comparison of values of foreign files, wherever they stand.

use crate::load::{Node, Value};

/// Returns whether two values say the same: places and the order of keys do not matter.
pub(super) fn is_equal_value(a: &Node, b: &Node) -> bool {
    match (&a.value, &b.value) {
        (Value::Mapping(these), Value::Mapping(those)) => {
            these.len() == those.len()
                && these.iter().all(|entry| {
                    b.get(&entry.key.text).is_some_and(|other| is_equal_value(&entry.value, other))
                })
        }
        (Value::Sequence(these), Value::Sequence(those)) => {
            these.len() == those.len() && these.iter().zip(those).all(|(a, b)| is_equal_value(a, b))
        }
        // `80` and `"80"` differ to a program that reads them, but `1.0` and `1` do not.
        (Value::Number(a), Value::Number(b)) => a.value.total_cmp(&b.value).is_eq(),
        (a, b) => a == b,
    }
}

/// Returns whether two values that may be absent say the same.
pub(super) fn is_equal_option(a: Option<&Node>, b: Option<&Node>) -> bool {
    let stated = |node: Option<&Node>| node.is_some_and(|node| node.value != Value::Null);
    match (a, b) {
        (Some(a), Some(b)) => is_equal_value(a, b),
        // A key without a value is a key that is not there.
        (a, b) => !stated(a) && !stated(b),
    }
}
