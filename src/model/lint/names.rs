//! Names that look like others: letters of other scripts, and signs that look like letters.

use std::collections::BTreeMap;

use crate::diagnostic::{Code, Diagnostic, Findings, Place};
use crate::model::topology::Topology;

/// Letters that look like a Latin letter or a digit, with what they look like. They are those that a name may
/// hide behind: a gate, a log and a reviewer see the same.
const LOOKALIKES: &[(&str, char)] = &[
    ("\u{430}\u{251}\u{3B1}", 'a'),
    ("\u{42C}\u{184}", 'b'),
    ("\u{441}\u{3F2}", 'c'),
    ("\u{501}", 'd'),
    ("\u{435}\u{4BD}", 'e'),
    ("\u{261}", 'g'),
    ("\u{4BB}", 'h'),
    ("\u{456}\u{131}\u{3B9}", 'i'),
    ("\u{458}\u{3F3}", 'j'),
    ("\u{3BA}\u{43A}", 'k'),
    ("\u{4CF}\u{399}\u{406}", 'l'),
    ("\u{43C}", 'm'),
    ("\u{43F}", 'n'),
    ("\u{43E}\u{3BF}\u{3C3}\u{555}\u{585}", 'o'),
    ("\u{440}\u{3C1}", 'p'),
    ("\u{51B}", 'q'),
    ("\u{433}", 'r'),
    ("\u{455}", 's'),
    ("\u{3C4}\u{442}", 't'),
    ("\u{3C5}\u{57D}", 'u'),
    ("\u{3BD}\u{475}", 'v'),
    ("\u{51D}\u{3C9}", 'w'),
    ("\u{445}\u{3C7}", 'x'),
    ("\u{443}\u{3B3}", 'y'),
    ("\u{1D22}", 'z'),
    ("\u{410}\u{391}", 'A'),
    ("\u{412}\u{392}", 'B'),
    ("\u{421}", 'C'),
    ("\u{415}\u{395}", 'E'),
    ("\u{41D}\u{397}", 'H'),
    ("\u{408}\u{37F}", 'J'),
    ("\u{41A}\u{39A}", 'K'),
    ("\u{41C}\u{39C}", 'M'),
    ("\u{39D}", 'N'),
    ("\u{41E}\u{39F}", 'O'),
    ("\u{420}\u{3A1}", 'P'),
    ("\u{405}", 'S'),
    ("\u{422}\u{3A4}", 'T'),
    ("\u{425}\u{3A7}", 'X'),
    ("\u{423}\u{3A5}", 'Y'),
    ("\u{396}", 'Z'),
    ("\u{2010}\u{2011}\u{2012}\u{2013}\u{2212}", '-'),
];

/// Finds names that mix Latin letters with lookalikes, and pairs of names that look the same.
pub(super) fn find_confusable(topology: &Topology, findings: &mut Findings) {
    let services = topology.services.iter().map(|service| (service.name.as_str(), service.place));
    let flows = topology.flows.iter().map(|flow| (flow.name.as_str(), flow.place));
    let mut seen: BTreeMap<String, (&str, Place)> = BTreeMap::new();
    // Names in plain letters cannot be mistaken for one another, and nearly all names are.
    let (plain, other): (Vec<_>, Vec<_>) =
        services.chain(flows).partition(|(name, _)| name.is_ascii());
    if other.is_empty() {
        return;
    }
    // Plain names are noted first, so that it is the other one which is told to look like them.
    seen.extend(plain.into_iter().map(|(name, place)| (name.to_owned(), (name, place))));
    for (name, place) in other {
        if let Some(problem) = mixed_warning(name, place) {
            findings.push(problem);
        }
        let looks = appearance(name);
        match seen.get(&looks) {
            Some((known, first)) if *known != name => {
                let message = format!("`{name}` looks like `{known}`, but is another name");
                let problem = Diagnostic::warning(Code::ConfusableName, message, place);
                findings.push(
                    problem
                        .other_place(*first, "the other")
                        .help("readers cannot tell them apart: write the letters of one script"),
                );
            }
            // The first of names that look alike is what the others are compared with.
            _ => drop(seen.insert(looks, (name, place))),
        }
    }
}

/// Returns a warning where a name mixes Latin letters with letters that look like others.
fn mixed_warning(name: &str, place: Place) -> Option<Diagnostic> {
    // A name wholly in another script is a name and no disguise.
    if !name.chars().any(|c| c.is_ascii_alphabetic()) {
        return None;
    }
    let (odd, like) = name.chars().find_map(|c| Some((c, lookalike(c)?)))?;
    let message = format!(
        "`{name}` holds U+{:04X}, which looks like `{like}`, among Latin letters",
        u32::from(odd)
    );
    let help = format!("write `{}`, if that is meant", appearance(name));
    Some(Diagnostic::warning(Code::ConfusableName, message, place).help(help))
}

/// Returns a name in the letters that it seems to be made of.
fn appearance(name: &str) -> String {
    name.chars().map(|c| lookalike(c).unwrap_or(c)).collect()
}

fn lookalike(c: char) -> Option<char> {
    // The wide forms of ASCII stand in its order.
    if let '\u{FF21}'..='\u{FF3A}' | '\u{FF41}'..='\u{FF5A}' | '\u{FF10}'..='\u{FF19}' = c {
        return char::from_u32(u32::from(c) - 0xFEE0);
    }
    let found = LOOKALIKES.iter().find(|(others, _)| !c.is_ascii() && others.contains(c));
    found.map(|(_, like)| *like)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_as_they_look() {
        assert_eq!(appearance("p\u{430}y\u{2011}\u{FF58}\u{FF11}"), "pay-x1");
        assert_eq!(appearance("zahlung-ä-支付"), "zahlung-ä-支付");
        assert!(mixed_warning("платежи", Place::default()).is_none(), "one script throughout");
        assert!(mixed_warning("größe", Place::default()).is_none(), "no letter looks like another");
        assert!(mixed_warning("p\u{430}y", Place::default()).is_some());
    }
}
