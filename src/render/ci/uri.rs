//! The address of a file: RFC 3986, what is not plain as `%XX`.

/// A file as a relative or `file:` address; nothing for standard input and for arguments.
pub(super) fn of_file(path: &str) -> Option<String> {
    if !is_file(path) {
        return None;
    }
    // An address separates folders by `/` on every system.
    let path = path.replace('\\', "/");
    let mut uri = String::with_capacity(path.len());
    // A colon in the first part would be taken for the end of a scheme, so it is never plain.
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => {
                uri.push(char::from(byte));
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    // A relative address is read from the repository, and code hosts do not take the `./`.
    let uri = uri.strip_prefix("./").unwrap_or(&uri);
    Some(if uri.starts_with('/') { format!("file://{uri}") } else { uri.to_owned() })
}

/// Whether what a place calls its file is one: not `<stdin>`, not `--break`.
pub(super) fn is_file(path: &str) -> bool {
    !path.is_empty() && !path.starts_with("--") && !path.starts_with('<')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_plain_is_escaped() {
        assert_eq!(of_file("./a b/ä:1%.yaml").unwrap(), "a%20b/%C3%A4%3A1%25.yaml");
        assert_eq!(of_file("/tmp/x.yaml").unwrap(), "file:///tmp/x.yaml");
        assert_eq!(of_file("../x.yaml").unwrap(), "../x.yaml");
        assert_eq!(of_file("<stdin>"), None);
        assert_eq!(of_file("--break"), None);
    }
}
