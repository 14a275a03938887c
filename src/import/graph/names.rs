//! From names in foreign files to names that a topology allows.

use std::collections::BTreeMap;

/// Longer names are cut, and made unique by a number in hexadecimal digits.
const NAME_MAX: usize = 180;

/// Names already given out.
#[derive(Clone, Debug, Default)]
pub(in crate::import) struct Names {
    aliases: BTreeMap<String, String>,
    given: BTreeMap<String, String>,
    /// For each name of a topology, the name in a source that it stands for.
    taken: BTreeMap<String, String>,
}

impl Names {
    pub(in crate::import) fn new(aliases: &[(String, String)]) -> Self {
        Self { aliases: aliases.iter().cloned().collect(), ..Self::default() }
    }

    /// The name in the topology, and whether it differs from the one in the source.
    pub(in crate::import) fn topology_name(&mut self, original: &str) -> (String, bool) {
        let target = self.aliases.get(original).cloned();
        let original = target.as_deref().unwrap_or(original);
        if let Some(name) = self.given.get(original) {
            return (name.clone(), name != original);
        }
        let clean = allowed_name(original);
        // An alias may be given by the allowed form of a name, which is what a user sees.
        let clean = self.aliases.get(&clean).cloned().unwrap_or(clean);
        let is_other = |name: &String| {
            self.taken.get(name).is_some_and(|known| known != original && known != name)
                // Several names may be given one alias on purpose: then they are one service.
                && !self.aliases.values().any(|target| target == name)
        };
        let mut name = clean.clone();
        let mut number = 2;
        // Two names may become equal once their special characters are gone.
        while is_other(&name) {
            name = format!("{clean}-{number}");
            number += 1;
        }
        self.taken.entry(name.clone()).or_insert_with(|| original.to_owned());
        self.given.insert(original.to_owned(), name.clone());
        let differs = name != original;
        (name, differs)
    }

    pub(in crate::import) fn used_aliases(&self) -> impl Iterator<Item = (&str, &str)> {
        self.aliases.iter().map(|(alias, name)| (&**alias, &**name))
    }
}

/// The name with `.` for every character that a topology does not allow.
pub(in crate::import) fn allowed_name(original: &str) -> String {
    let mut name = String::with_capacity(original.len());
    for c in original.trim().chars() {
        match c {
            // These characters separate parts of references in a topology.
            '/' | ':' | '>' | '|' => name.push('.'),
            // Invisible characters would make names that look equal and are not.
            c if is_invisible(c) => {}
            c => name.push(c),
        }
    }
    let name = name.trim();
    if name.is_empty() {
        return "unnamed".to_owned();
    }
    if name.len() <= NAME_MAX {
        return name.to_owned();
    }
    let mut end = NAME_MAX;
    // A cut within a character is no text.
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    // The hash keeps two long names apart that differ only behind the cut.
    format!("{}-{:08x}", name[..end].trim(), fnv1a(name.as_bytes()) as u32)
}

/// A text on one line without invisible characters, not too long for a title.
pub(in crate::import) fn one_line(text: &str) -> String {
    let line: String = text
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| !is_invisible(*c))
        .take(200)
        .collect();
    let line = line.trim();
    if line.is_empty() { "unnamed".to_owned() } else { line.to_owned() }
}

fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}

/// Returns a text as one word of a shell: in single quotes where it holds anything but plain characters.
pub fn shell_word(text: &str) -> String {
    let is_plain = |c: char| {
        c.is_ascii_alphanumeric()
            || matches!(c, '-' | '_' | '.' | '/' | ':' | '@' | '=' | '+' | ',')
    };
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// FNV-1a of 64 bits: the same on every machine.
pub(in crate::import) fn fnv1a(bytes: &[u8]) -> u64 {
    // A hash of the standard library may differ between versions, and names must not.
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_become_dots_and_clashes_get_a_number() {
        let mut names = Names::default();
        assert_eq!(names.topology_name("ns/svc:a"), ("ns.svc.a".to_owned(), true));
        assert_eq!(names.topology_name("ns.svc:a"), ("ns.svc.a-2".to_owned(), true));
        assert_eq!(names.topology_name("ns/svc:a"), ("ns.svc.a".to_owned(), true));
        assert_eq!(names.topology_name(" \u{0}"), ("unnamed".to_owned(), true));
        assert!(names.topology_name(&"long ".repeat(100)).0.len() < 200);
    }

    #[test]
    fn an_alias_stands_for_its_service() {
        let alias = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let mut names = Names::new(&[alias("nginx-web", "nginx-thrift"), alias("n.b", "b")]);
        assert_eq!(names.topology_name("nginx-web"), ("nginx-thrift".to_owned(), false));
        assert_eq!(names.topology_name("n/b").0, "b");
        assert_eq!(names.topology_name("b").0, "b");
    }
}
