//! A long topology about which everything is found exactly; benches use it too.

use blastwave::diagnostic::Sources;
use blastwave::load;
use blastwave::model::Topology;

/// A chain with a spare beside every tenth service: everything about it is found exactly.
pub(crate) fn chain(services: usize) -> Topology {
    let mut text = "version: 1\ntopology: chain\nservices:\n".to_owned();
    for number in 0..services {
        let next = number + 1;
        let calls = match number {
            _ if next == services => String::new(),
            _ if number % 10 == 0 => format!("{{ any_of: [s{next:03}, spare{number:03}] }}"),
            _ => format!("s{next:03}"),
        };
        text += &format!("  s{number:03}: {{ availability: 99.99%, dependencies: [{calls}] }}\n");
        if number % 10 == 0 {
            text += &format!("  spare{number:03}: {{ availability: 99% }}\n");
        }
    }
    text += "flows:\n  order: { steps: [s000] }\n";
    let document = load::parse_document("chain", text.into_bytes(), &mut Sources::default());
    Topology::from_document(&document.expect("YAML")).expect("a topology")
}
