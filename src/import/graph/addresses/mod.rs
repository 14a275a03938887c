//! Addresses in texts: values of variables, words of commands, files of properties.
//!
//! A value gives hosts and nothing else: whatever else stands in it may be a secret.

mod forms;
mod host;
mod keys;
mod lists;

pub(in crate::import) use self::forms::Address;
pub(in crate::import) use self::host::{Whereabouts, host_whereabouts};
pub(in crate::import) use self::keys::{Purpose, is_of_telemetry, purpose_of, words_of};
pub(in crate::import) use self::lists::listed_hosts;

use self::forms::{Scanner, block_properties, line_property};

/// How deeply values may be nested in one another.
const DEPTH_MAX: usize = 4;

/// A longer value is not looked at: no address needs it, and one that doubles would grow for ever.
const TEXT_MAX: usize = 1024 * 1024;

/// Addresses that the value of a variable holds.
#[derive(Debug, Default, PartialEq)]
pub(in crate::import) struct Found {
    /// Addresses in the order of the value.
    pub(in crate::import) addresses: Vec<Address>,
    /// Purpose of the addresses, going by the name of the variable.
    pub(in crate::import) purpose: Purpose,
}

/// Returns the addresses in the value of a variable.
pub(in crate::import) fn in_variable(key: &str, value: &str) -> Found {
    let purpose = purpose_of(key);
    let mut addresses = Vec::new();
    if value.len() <= TEXT_MAX {
        collect_addresses(key, purpose, value, 0, &mut addresses);
    }
    Found { addresses, purpose }
}

fn collect_addresses(
    key: &str,
    purpose: Purpose,
    value: &str,
    depth: usize,
    found: &mut Vec<Address>,
) {
    if depth > DEPTH_MAX {
        return;
    }
    let start = value.trim_start();
    if start.starts_with(['{', '['])
        // Text in braces may be a template as well: only what is valid JSON is read as JSON.
        && let Ok(json) = serde_json::from_str::<serde_json::Value>(value)
    {
        in_json(key, &json, depth, found);
        return;
    }
    let block = block_properties(value);
    // One pair alone may be an address with a colon, while several of them are a block.
    if block.len() > 1 {
        for (key, value) in block {
            collect_addresses(key, purpose_of(key), value, depth + 1, found);
        }
        return;
    }
    let bare = matches!(purpose, Purpose::Address | Purpose::Start | Purpose::Own);
    let mut scanner = Scanner::new(bare, purpose == Purpose::NoAddress);
    scanner.scan_text(value);
    let is_certain = purpose == Purpose::Address && keys::is_certain(key);
    found.extend(
        scanner
            .found
            .into_iter()
            .map(|address| Address { is_certain: address.is_certain || is_certain, ..address }),
    );
}

/// Adds the addresses of JSON: each value by its own key.
fn in_json(key: &str, json: &serde_json::Value, depth: usize, found: &mut Vec<Address>) {
    match json {
        serde_json::Value::String(text) => {
            collect_addresses(key, purpose_of(key), text, depth + 1, found);
        }
        serde_json::Value::Array(items) if depth <= DEPTH_MAX => {
            // A list belongs to its key, so its items are no deeper.
            items.iter().for_each(|item| in_json(key, item, depth, found));
        }
        serde_json::Value::Object(entries) if depth <= DEPTH_MAX => {
            for (key, value) in entries {
                in_json(key, value, depth + 1, found);
            }
        }
        _ => {}
    }
}

/// Returns the addresses in the words of a command, each with what it is for: what is only waited for
/// is needed to start.
pub(in crate::import) fn in_arguments<'a>(
    arguments: impl IntoIterator<Item = &'a str>,
) -> Vec<(Address, Purpose)> {
    let mut found = Vec::new();
    let mut after_flag = false;
    let mut use_of_host = Purpose::Unstated;
    for word in arguments.into_iter().flat_map(str::split_whitespace) {
        if begins_to_wait(word) {
            use_of_host = Purpose::Start;
        } else if matches!(word, "--" | "&&" | "done" | "done;" | "exec") {
            // Behind these words stands the command that runs when the wait is over.
            use_of_host = Purpose::Unstated;
        }
        let (flag, value) = match word.split_once('=') {
            Some((flag, value)) if flag.starts_with('-') => (Some(flag), value),
            _ if word.starts_with('-') => (Some(word), ""),
            _ => (None, word),
        };
        let purpose = flag.map_or(Purpose::Unstated, |flag| match flag {
            // In clients of databases and tools for load `-h` is the host; where it only asks for
            // help no value follows.
            "-h" => Purpose::Address,
            _ => purpose_of(flag.trim_start_matches('-')),
        });
        let is_host_flag = purpose == Purpose::Address;
        if !value.is_empty() && purpose != Purpose::NotCalled {
            let bare = if flag.is_some() { is_host_flag } else { after_flag };
            let mut scanner = Scanner::new(bare, purpose == Purpose::NoAddress);
            scanner.scan_text(value.trim_matches(['"', '\'']));
            found.extend(scanner.found.into_iter().map(|address| {
                let is_certain = address.is_certain || bare;
                (Address { is_certain, ..address }, use_of_host)
            }));
        }
        // Only a flag for hosts makes the next word a host: `-d 60` has a number.
        after_flag = flag.is_some() && value.is_empty() && is_host_flag;
    }
    found
}

/// Whether a word of a command begins to wait for another service.
fn begins_to_wait(word: &str) -> bool {
    let name = word.rsplit('/').next().unwrap_or(word);
    let is_script = ["wait-for", "wait_for", "waitfor", "wait-on", "dockerize"];
    is_script.iter().any(|start| name.starts_with(start))
        || matches!(name, "until" | "nc" | "pg_isready" | "ping" | "mysqladmin")
}

/// Returns the addresses in a file that is read by a program: properties by their keys, all else by
/// its form. Comments are left out.
pub(in crate::import) fn in_file(text: &str) -> Vec<Address> {
    let mut found = Vec::new();
    if text.len() > TEXT_MAX || is_of_scrapes(text) {
        return found;
    }
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';', '!']) || line.starts_with("//") {
            continue;
        }
        // In files of properties a `#` within a value is a part of it.
        let line = line.split(" #").next().unwrap_or(line).trim_end();
        if let Some((key, value)) = line_property(line) {
            collect_addresses(key, purpose_of(key), value, 1, &mut found);
        } else {
            found.extend(in_text(line, false));
        }
    }
    found
}

/// Whether a file says whom a collector asks for metrics, which serves nobody.
fn is_of_scrapes(text: &str) -> bool {
    text.contains("scrape_configs:") || text.contains("static_configs:")
}

/// Returns the addresses in a text whose key says nothing.
pub(in crate::import) fn in_text(text: &str, bare_words: bool) -> Vec<Address> {
    let mut scanner = Scanner::new(bare_words, false);
    scanner.scan_text(text);
    scanner.found
}

#[cfg(test)]
mod tests;
