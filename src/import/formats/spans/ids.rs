//! Identifiers of traces and spans, and names of operations.

use crate::import::graph::names::fnv1a;

/// Returns an operation without what differs from request to request: numbers and long hexadecimal parts.
pub(super) fn generalized_operation(operation: &str) -> String {
    let path = operation.split(['?', '#']).next().unwrap_or_default();
    let part = |part: &str| {
        let digits = part.chars().filter(char::is_ascii_digit).count();
        // Words such as `v1` have digits as well: an identifier consists of digits, or is long and
        // hexadecimal.
        let is_id = digits > 0
            && (digits == part.len()
                || part.len() >= 16 && part.chars().all(|c| c.is_ascii_hexdigit() || c == '-'));
        if is_id { "{id}".to_owned() } else { part.to_owned() }
    };
    let parts: Vec<String> = path.split('/').map(part).collect();
    let joined = parts.join("/");
    // Operations become names in a file that people read.
    joined.chars().take(120).collect()
}

/// Returns the number of an id: hexadecimal as it is, base64 decoded, anything else hashed. Never 0 for an id.
pub(in crate::import) fn id_number(text: &str) -> u64 {
    let text = text.trim();
    if text.is_empty() || text.bytes().all(|byte| byte == b'0') {
        return 0;
    }
    // 128 bits have at most 32 hexadecimal digits.
    let is_hex = text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    // 8 and 16 bytes in base64 have 12 and 24 characters, some of which look hexadecimal.
    let bytes = if is_hex && !matches!(text.len(), 12 | 24) { None } else { decode_base64(text) };
    let number = match bytes {
        Some(bytes) if bytes.iter().all(|byte| *byte == 0) => return 0,
        Some(bytes) => {
            let hex = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or_default();
            let digits: String =
                bytes.iter().flat_map(|byte| [hex(byte >> 4), hex(byte & 0xF)]).collect();
            fnv1a(digits.trim_start_matches('0').as_bytes())
        }
        // Some programs write leading zeros, and others do not.
        None if is_hex => fnv1a(text.to_ascii_lowercase().trim_start_matches('0').as_bytes()),
        None => fnv1a(text.as_bytes()),
    };
    // 0 stands for no identifier.
    number.max(1)
}

/// The bytes of an id of 8 or 16 bytes in base64.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    if !matches!(text.len(), 12 | 24) {
        return None;
    }
    let mut bits = 0_u32;
    let mut count = 0;
    let mut bytes = Vec::new();
    for c in text.trim_end_matches('=').bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xFFFF;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xFF) as u8);
        }
    }
    matches!(bytes.len(), 8 | 16).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_encodings_of_an_id_are_the_same_id() {
        assert_eq!(id_number("EEE19B7EC3C1B174"), id_number("eee19b7ec3c1b174"));
        assert_eq!(id_number("7uGbfsPBsXQ="), id_number("eee19b7ec3c1b174"));
        assert_eq!(id_number("0000000000000000"), 0);
        assert_eq!(id_number("AAAAAAAAAAA="), 0);
        assert_eq!(id_number("00a1"), id_number("A1"));
        assert_ne!(id_number("span-1"), 0);
    }

    #[test]
    fn operations_lose_what_differs_from_request_to_request() {
        assert_eq!(generalized_operation("GET /orders/123/items?x=1"), "GET /orders/{id}/items");
        assert_eq!(generalized_operation("/u/550e8400-e29b-41d4-a716-446655440000"), "/u/{id}");
    }
}
