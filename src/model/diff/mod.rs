//! From the files that a diff names to the change that it makes.
//!
//! A list of file names comes in as bytes; out comes which services they belong to, what sort of
//! change it looks like, and which files belong to no service. Nothing is ever dropped in silence:
//! every name is counted with a service, with what is said to belong to none, or with what is not
//! known.

mod names;
mod owners;
mod sort;

use super::change::{Change, ChangeKind, Target, TargetRef};
use super::topology::{NodeRef, ServiceId, Topology};
use super::units::Share;
use crate::diagnostic::Diagnostic;
use names::{names, shown};
use owners::{Belongs, Owners};
use sort::Sorts;

/// How many names of files are kept of those that belong to no service.
pub const KEPT: usize = 5;
/// How many services the name of a change holds.
const NAMED: usize = 3;

/// Which services a list of changed files touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diff {
    /// How many files were named.
    pub files: u64,
    /// The services that some of them belong to, by their number.
    pub services: Vec<Touched>,
    /// How many belong to no service, and nobody said that they do not.
    pub unmatched: u64,
    /// The first [`KEPT`] of these, with bytes that are no text as `\xNN`.
    pub first_unmatched: Vec<String>,
    /// How many are said to belong to no service.
    pub ignored: u64,
    /// What sort of change it looks like: a guess from the names of the files that belong to a
    /// service; `None` where none does.
    pub kind: Option<ChangeKind>,
    /// Whether some service says which files are its own.
    pub has_paths: bool,
}

/// A service that changed files belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touched {
    /// Which.
    pub service: ServiceId,
    /// How many files.
    pub files: u64,
}

impl Diff {
    /// Finds the services of changed files.
    ///
    /// `list` holds a name on each line, as `git diff --name-only` writes them (in quotes with `\303`
    /// for what is not plain), or with `is_null` ended by NUL bytes and as they are. A file belongs to
    /// the last service, in the order of the topology file, one of whose `paths` it matches, as in
    /// `CODEOWNERS`. `ignored` are patterns of files that belong to no service, on purpose; they hold
    /// only for files that match no service.
    ///
    /// # Errors
    /// A pattern of `ignored` cannot be read, or all patterns together are too large.
    pub fn read(
        list: &[u8],
        is_null: bool,
        topology: &Topology,
        ignored: &[String],
    ) -> Result<Self, Vec<Diagnostic>> {
        let owners = Owners::new(topology, ignored)?;
        let mut counts = vec![0_u64; topology.services.len()];
        let mut sorts = Sorts::default();
        let mut diff = Self {
            files: 0,
            services: Vec::new(),
            unmatched: 0,
            first_unmatched: Vec::new(),
            ignored: 0,
            kind: None,
            has_paths: topology.services.iter().any(|it| !it.paths.is_empty()),
        };
        for name in names(list, is_null) {
            diff.files += 1;
            match owners.of(&name) {
                Belongs::To(service) => {
                    counts[service.0 as usize] += 1;
                    sorts.add(&name);
                }
                Belongs::ToNone => diff.ignored += 1,
                Belongs::Unknown => {
                    diff.unmatched += 1;
                    if diff.first_unmatched.len() < KEPT {
                        diff.first_unmatched.push(shown(&name));
                    }
                }
            }
        }
        let touched = (0..).zip(counts).filter(|(_, files)| *files > 0);
        diff.services = touched
            .map(|(service, files)| Touched { service: ServiceId(service), files })
            .collect();
        diff.kind = sorts.guess();
        Ok(diff)
    }

    /// The change: every touched service breaks wholly and at once, if the change breaks. Several have
    /// that one cause in common.
    pub fn change(&self, topology: &Topology) -> Change {
        let services = self.services.iter().map(|it| &topology.services[it.service.0 as usize]);
        let mut names: Vec<&str> = services.clone().map(|it| &*it.name).take(NAMED).collect();
        let more = self.services.len().saturating_sub(NAMED);
        let rest = format!("{more} more");
        if more > 0 {
            names.push(&rest);
        }
        let name = match names.split_last() {
            None => "no service".to_owned(),
            Some((last, [])) => format!("changes to {last}"),
            Some((last, others)) => format!("changes to {} and {last}", others.join(", ")),
        };
        let targets = self.services.iter().zip(services).map(|(touched, service)| {
            let node = NodeRef { service: touched.service, endpoint: None };
            Target::certain(TargetRef::Node(node), service.place)
        });
        // What touches nothing breaks nothing.
        let failure_probability = self.services.is_empty().then_some(Share::ZERO);
        let change = Change::certain(name, targets.collect());
        Change { kind: self.kind, failure_probability, ..change }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Sources;
    use crate::load;

    fn topology() -> Topology {
        let text = "\
version: 1
topology: shop
services:
  web: { paths: ['web/**', 'services/'] }
  pay: { paths: [services/pay, '*.proto'] }
  cart: { paths: ['services/cart/**', 'config/*.yaml'] }
  db:
flows: { order: { steps: [web, pay, cart, db] } }
";
        let mut sources = Sources::default();
        let document = load::parse("shop.yaml", text.as_bytes().to_vec(), &mut sources).unwrap();
        Topology::from_document(&document).unwrap()
    }

    fn read(list: &[u8], is_null: bool) -> Diff {
        Diff::read(list, is_null, &topology(), &["docs/".to_owned()]).unwrap()
    }

    fn touched(list: &str) -> Vec<(String, u64)> {
        let topology = topology();
        let diff = read(list.as_bytes(), false);
        let name = |it: &Touched| topology.services[it.service.0 as usize].name.clone();
        diff.services.iter().map(|it| (name(it), it.files)).collect()
    }

    #[test]
    fn the_last_service_of_the_file_whose_pattern_matches_owns_a_file() {
        assert_eq!(touched("services/README.md"), [("web".to_owned(), 1)]);
        assert_eq!(touched("services/pay/main.rs\n./services/pay"), [("pay".to_owned(), 2)]);
        assert_eq!(touched("services/cart/api.proto"), [("cart".to_owned(), 1)]);
        assert_eq!(touched("web/deep/down/x.proto"), [("pay".to_owned(), 1)]);
    }

    #[test]
    fn a_star_stays_in_its_folder() {
        assert_eq!(touched("config/a.yaml"), [("cart".to_owned(), 1)]);
        assert_eq!(touched("config/deep/a.yaml"), []);
        assert_eq!(touched("my/config/a.yaml"), []);
    }

    #[test]
    fn what_belongs_to_none_is_counted_and_named() {
        let diff = read(b"docs/a\nREADME.md\nx\nweb/a.ts\ndocs/b/c\n", false);
        assert_eq!((diff.files, diff.ignored, diff.unmatched), (5, 2, 2));
        assert_eq!(diff.first_unmatched, ["README.md", "x"]);
        let many = (0..100).map(|it| format!("file {it}\n")).collect::<Vec<_>>().concat();
        let diff = read(many.as_bytes(), false);
        assert_eq!((diff.unmatched, diff.first_unmatched.len()), (100, KEPT));
    }

    #[test]
    fn several_services_are_one_change_with_several_targets() {
        let topology = topology();
        let change = read(b"web/a\nservices/pay/b\nservices/cart/c\n", false).change(&topology);
        assert_eq!(change.name, "changes to cart, pay and web");
        assert_eq!(change.targets.len(), 3);
        assert_eq!(read(b"", false).change(&topology).name, "no service");
    }

    #[test]
    fn names_are_bytes_whatever_they_hold() {
        let diff = read(b"web/\xff\nweb/a b\0odd\n\xfe\0", true);
        assert_eq!((diff.files, diff.services[0].files), (2, 1));
        assert_eq!(diff.first_unmatched, ["odd\n\\xfe"]);
    }
}
