//! An observation: what is seen to fail, before anybody knows why.

use super::decode::kind::{self, Kind};
use super::decode::names::Names;
use super::decode::read::{Mapping, Problems, Shape};
use super::incident::{Observed, decode_observations};
use super::topology::{ServiceId, Topology};
use super::units::Share;
use crate::diagnostic::{Code, Diagnostic};
use crate::load::Document;

/// Observation of what fails. Times count from when it began.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// Its name.
    pub name: String,
    /// The chance that one of the entries is wrong.
    pub misreport: Option<Share>,
    /// The chance that nobody reports on a component that fails.
    pub unreported: Option<Share>,
    /// Services that were changed shortly before.
    pub deployed: Vec<ServiceId>,
    /// Observed states, in the order written; at least one entry.
    pub observed: Vec<Observed>,
}

pub(crate) const OBSERVATION: Shape = Shape {
    what: "an observation",
    keys: &["version", "observation", "misreport", "unreported", "deployed", "observed"],
    schema: "",
};

impl Observation {
    /// Decodes an observation file; the names in it are those of a topology.
    ///
    /// # Errors
    /// Everything that is wrong with it, sorted by place.
    pub fn from_document(
        document: &Document,
        topology: &Topology,
    ) -> Result<Self, Vec<Diagnostic>> {
        let problems = Problems::of_document(document);
        let read = kind::open_document(document, Kind::Observation, &OBSERVATION, &problems)
            .and_then(|mapping| decode_observation(&mapping, topology));
        problems.into_result(read)
    }
}

fn decode_observation(mapping: &Mapping<'_>, topology: &Topology) -> Option<Observation> {
    let names = Names::of_topology(topology);
    let name = mapping.get("observation").and_then(|field| field.title());
    let misreport = mapping.get("misreport").and_then(|field| {
        let share = field.positive_share()?;
        // From one half on a report says the opposite as often, or says nothing.
        if share.get() < 0.5 {
            return Some(share);
        }
        let message = format!("`misreport` is {share}, but must be below 50%");
        field.report_problem(
            Code::OutOfRange,
            message,
            "what is wrong every second time says nothing",
        );
        None
    });
    let field = mapping.require("observed", "[{ service: payments, state: failed }]")?;
    let observed = decode_observations(&field, &names, topology);
    // A list that cannot be read was told already.
    if field.is_list() && field.node.items().is_empty() {
        let help = "write for example `[{ service: payments, state: failed }]`";
        field.report_problem(Code::OutOfRange, "nothing is observed", help);
    }
    let unreported = mapping.get("unreported").and_then(|field| field.positive_share());
    let deployed = mapping.get("deployed").map(|field| {
        field.items().filter_map(|item| names.resolve_service(&item)).collect::<Vec<_>>()
    });
    Some(Observation {
        name: name?,
        misreport,
        unreported,
        deployed: deployed.unwrap_or_default(),
        observed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Sources;
    use crate::load;

    fn read(text: &str) -> Result<Observation, Vec<Diagnostic>> {
        let mut sources = Sources::default();
        let shop =
            "version: 1\ntopology: shop\nservices: {cart: {}}\nflows: {buy: {steps: [cart]}}\n";
        let shop = load::parse_document("shop", shop.as_bytes().to_vec(), &mut sources).unwrap();
        let topology = Topology::from_document(&shop).unwrap();
        let text = format!("version: 1\nobservation: friday\n{text}");
        let document = load::parse_document("seen", text.into_bytes(), &mut sources).unwrap();
        Observation::from_document(&document, &topology)
    }

    #[test]
    fn what_is_seen_is_read() {
        let text = "misreport: 2%\nunreported: 90%\ndeployed: [cart]\nobserved: [{flow: buy, state: degraded, from: 2m}, {service: cart}]";
        let seen = read(text).unwrap();
        assert_eq!((seen.observed.len(), seen.misreport.map(Share::get)), (2, Some(0.02)));
        assert_eq!(
            (seen.deployed, seen.unreported.map(Share::get)),
            (vec![ServiceId(0)], Some(0.9))
        );
    }

    #[test]
    fn what_says_nothing_is_refused() {
        let codes = |text| {
            read(text).unwrap_err().iter().map(|unwrap_err| unwrap_err.code).collect::<Vec<_>>()
        };
        assert_eq!(codes("misreport: 60%\nobserved: []"), [Code::OutOfRange, Code::OutOfRange]);
        assert_eq!(codes("observed: [{service: card}]"), [Code::UnknownService]);
        assert_eq!(codes("misreport: 1%"), [Code::MissingKey]);
        assert_eq!(codes("deployed: [card]\nobserved: [{service: cart}]"), [Code::UnknownService]);
        assert_eq!(codes("unreported: 0%\nobserved: [{service: cart}]"), [Code::OutOfRange]);
    }
}
