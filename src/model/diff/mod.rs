//! From the files that a diff names to the change that it makes.
//!
//! Names of changed files come in, with what each does to the program where that is known; out comes
//! which services they belong to, what sort of change it looks like, and which files belong to no
//! service. Every file is counted once: with a service, with those that are said to belong to none,
//! with those that change no behaviour, or with those of which nobody said whose they are.

mod content;
mod language;
mod names;
mod owners;
mod risk;
mod sort;

use super::change::{Change, ChangeKind, Target, TargetRef};
use super::shipping::Shipping;
use super::topology::{NodeRef, ServiceId, Topology};
use super::units::Share;
use crate::diagnostic::Diagnostic;
use crate::sort::Arrange as _;
use names::{listed_names, seems_joined, shown_name};
use owners::{Belongs, Owners};
use sort::Sorts;

pub use content::{ChangedFile, Effect};
pub use risk::{DiffSize, Risk};

/// How many names of files are kept of those that belong to no service.
pub const KEPT: usize = 5;
/// How many services the name of a change holds.
const NAMED: usize = 3;

/// Which services a list of changed files touches.
#[derive(Clone, Debug, PartialEq)]
pub struct Diff {
    /// How many files were named.
    pub files: u64,
    /// The services that some of them belong to, by their number.
    pub services: Vec<Touched>,
    /// How many belong to no service, and nobody said that they do not.
    pub unmatched: u64,
    /// The first [`KEPT`] of these, with bytes that are no text as `\xNN`.
    pub first_unmatched: Vec<String>,
    /// The first line of the list that seems to hold several names; they are read as one.
    pub first_joined: Option<String>,
    /// How many are said to belong to no service.
    pub ignored: u64,
    /// Which files change no behaviour, by the reason; empty where only names are known.
    pub left_out: Vec<LeftOut>,
    /// Kind of change that the diff looks like: a guess from the names of the files that belong to
    /// a service; `None` where none does.
    pub kind: Option<ChangeKind>,
    /// How large the change of the services is; `None` where only names are known.
    pub size: Option<DiffSize>,
    /// How likely a change of the touched services breaks, as the topology declares; `None` where it does
    /// not.
    pub declared_risk: Option<Share>,
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
    /// Whether the topology declares how its changes are shipped.
    pub is_shipping_declared: bool,
}

/// Changed files that change no behaviour, for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The reason.
    pub effect: Effect,
    /// How many files.
    pub files: u64,
    /// The first of them.
    pub first: String,
}

impl Diff {
    /// Finds the services of changed files that are known by their names only.
    ///
    /// `list` holds a name on each line, as `git diff --name-only` writes them (in quotes with `\303`
    /// for what is not plain), or with `is_null` ended by NUL bytes and as they are. A file belongs to
    /// the last service, in the order of the topology file, one of whose `paths` it matches, as in
    /// `CODEOWNERS`. `ignored` are patterns of files that belong to no service, on purpose; they hold
    /// only for files that match no service.
    ///
    /// # Errors
    /// Returns what is wrong with a pattern of `ignored`, or that all patterns together are too large.
    pub fn from_names(
        list: &[u8],
        is_null: bool,
        topology: &Topology,
        ignored: &[String],
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut reader = DiffReader::new(topology, ignored)?;
        for name in listed_names(list, is_null) {
            // Told and not refused: a name with a comma in it is a name too.
            if !is_null && reader.diff.first_joined.is_none() && seems_joined(&name) {
                reader.diff.first_joined = Some(shown_name(&name));
            }
            reader.add_file(&name, None);
        }
        reader.into_diff()
    }

    /// Finds the services of changed files whose content is known. A file that changes no behaviour
    /// touches no service.
    ///
    /// # Errors
    /// Returns what is wrong with a pattern of `ignored`, or that all patterns together are too large.
    pub fn of_files(
        files: &[ChangedFile],
        topology: &Topology,
        ignored: &[String],
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut reader = DiffReader::new(topology, ignored)?;
        reader.diff.size = Some(DiffSize::default());
        for file in files {
            reader.add_file(&file.name, Some(file));
        }
        reader.into_diff()
    }

    /// Returns the change: if it breaks, every touched service breaks completely, all for one cause. It
    /// is shipped as the topology declares; of several services the way counts that protects least.
    pub fn as_change(&self, topology: &Topology) -> Change {
        let services =
            self.services.iter().map(|service| &topology.services[service.service.0 as usize]);
        let targets = self.services.iter().zip(services.clone()).map(|(touched, service)| {
            // A file belongs to a service and not to one of its endpoints.
            let node = NodeRef { service: touched.service, endpoint: None };
            Target::down_with_certainty(TargetRef::Node(node), service.place)
        });
        let change = Change::from_targets(self.change_name(topology), targets.collect());
        // What touches nothing breaks nothing.
        let failure_probability = match self.services.as_slice() {
            // What touches nothing cannot break anything, whatever is usual for changes.
            [] => Some(Share::ZERO),
            // A record of the service stands before what is usual for such a size.
            _ => self.declared_risk.or_else(|| self.risk().map(|risk| risk.failure_probability)),
        };
        // A change is shipped once, so the way that protects least counts for all of it.
        let shipping = services.map(|service| topology.shipping_of(service));
        let Shipping { rollout, detection, rollback, .. } =
            shipping.reduce(Shipping::weaker_of_each).unwrap_or_default();
        Change { kind: self.kind, failure_probability, rollout, detection, rollback, ..change }
            .with_default_horizon(topology)
    }

    /// Returns how likely the change is to break, as far as its size tells; `None` where only names are
    /// known, or where nothing is touched.
    pub fn risk(&self) -> Option<Risk> {
        // Nothing is judged by its size where the topology says how likely it is.
        let is_open = !self.services.is_empty() && self.declared_risk.is_none();
        let size = self.size.filter(|_| is_open)?;
        Some(Risk::by_size(size, self.kind))
    }

    fn change_name(&self, topology: &Topology) -> String {
        let services =
            self.services.iter().map(|service| &topology.services[service.service.0 as usize]);
        let mut names: Vec<&str> = services.map(|service| &*service.name).take(NAMED).collect();
        let more = self.services.len().saturating_sub(NAMED);
        let rest = format!("{more} more");
        if more > 0 {
            names.push(&rest);
        }
        match names.split_last() {
            None => "no service".to_owned(),
            Some((last, [])) => format!("changes to {last}"),
            Some((last, others)) => format!("changes to {} and {last}", others.join(", ")),
        }
    }
}

/// Sorts changed files by the service that they belong to.
struct DiffReader<'a> {
    topology: &'a Topology,
    owners: Owners,
    counts: Vec<u64>,
    sorts: Sorts,
    diff: Diff,
}

impl<'a> DiffReader<'a> {
    fn new(topology: &'a Topology, ignored: &[String]) -> Result<Self, Vec<Diagnostic>> {
        let diff = Diff {
            files: 0,
            services: Vec::new(),
            unmatched: 0,
            first_unmatched: Vec::new(),
            first_joined: None,
            ignored: 0,
            left_out: Vec::new(),
            kind: None,
            size: None,
            declared_risk: None,
            has_paths: topology.services.iter().any(|service| !service.paths.is_empty()),
        };
        Ok(Self {
            topology,
            owners: Owners::new(topology, ignored)?,
            counts: vec![0_u64; topology.services.len()],
            sorts: Sorts::default(),
            diff,
        })
    }

    fn add_file(&mut self, name: &[u8], file: Option<&ChangedFile>) {
        self.diff.files += 1;
        // Before the owner is asked for: a file that does not ship breaks nobody.
        if let Some(file) = file.filter(|file| !file.effect.is_felt()) {
            self.leave_out(name, file.effect);
            return;
        }
        match self.owners.owner_of(name) {
            Belongs::To(service) => {
                self.counts[service.0 as usize] += 1;
                let is_dependency = file.is_some_and(|file| file.effect == Effect::Dependency);
                self.sorts.add_file(name, is_dependency);
                if let (Some(size), Some(file)) = (&mut self.diff.size, file) {
                    size.files += 1;
                    size.lines += file.lines;
                }
            }
            Belongs::ToNone => self.diff.ignored += 1,
            Belongs::Unknown => {
                self.diff.unmatched += 1;
                if self.diff.first_unmatched.len() < KEPT {
                    self.diff.first_unmatched.push(shown_name(name));
                }
            }
        }
    }

    fn leave_out(&mut self, name: &[u8], effect: Effect) {
        match self.diff.left_out.iter_mut().find(|left_out| left_out.effect == effect) {
            Some(known) => known.files += 1,
            None => self.diff.left_out.push(LeftOut { effect, files: 1, first: shown_name(name) }),
        }
    }

    fn into_diff(self) -> Result<Diff, Vec<Diagnostic>> {
        // Asked at the end, since only then all files were compared.
        if let Some(problem) = self.owners.overflow() {
            return Err(vec![problem]);
        }
        let Self { topology, counts, sorts, mut diff, .. } = self;
        let touched = (0..).map(ServiceId).zip(counts).filter(|(_, files)| *files > 0);
        let touched = touched.map(|(service, files)| Touched {
            service,
            files,
            is_shipping_declared: topology
                .shipping_of(topology.service(service))
                .is_course_declared(),
        });
        diff.services = touched.collect();
        let shipping = diff.services.iter().map(|touched| topology.service(touched.service));
        let shipping = shipping.map(|service| topology.shipping_of(service));
        let weakest = shipping.reduce(Shipping::weaker_of_each);
        diff.declared_risk = weakest.and_then(|weakest| weakest.failure_probability);
        // In a fixed order, and not in that in which the files happened to stand.
        diff.left_out.arrange_by_key(|left_out| left_out.effect);
        diff.kind = sorts.guessed_kind();
        Ok(diff)
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
        let document =
            load::parse_document("shop.yaml", text.as_bytes().to_vec(), &mut sources).unwrap();
        Topology::from_document(&document).unwrap()
    }

    fn read(list: &[u8], is_null: bool) -> Diff {
        Diff::from_names(list, is_null, &topology(), &["docs/".to_owned()]).unwrap()
    }

    fn touched(list: &str) -> Vec<(String, u64)> {
        let topology = topology();
        let diff = read(list.as_bytes(), false);
        let name = |touched: &Touched| topology.services[touched.service.0 as usize].name.clone();
        diff.services.iter().map(|service| (name(service), service.files)).collect()
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
        let many = (0..100).map(|item| format!("file {item}\n")).collect::<Vec<_>>().concat();
        let diff = read(many.as_bytes(), false);
        assert_eq!((diff.unmatched, diff.first_unmatched.len()), (100, KEPT));
    }

    #[test]
    fn several_services_are_one_change_with_several_targets() {
        let topology = topology();
        let change = read(b"web/a\nservices/pay/b\nservices/cart/c\n", false).as_change(&topology);
        assert_eq!(change.name, "changes to cart, pay and web");
        assert_eq!(change.targets.len(), 3);
        assert_eq!(read(b"", false).as_change(&topology).name, "no service");
    }

    #[test]
    fn names_are_bytes_whatever_they_hold() {
        let diff = read(b"web/\xff\nweb/a b\0odd\n\xfe\0", true);
        assert_eq!((diff.files, diff.services[0].files), (2, 1));
        assert_eq!(diff.first_unmatched, ["odd\n\\xfe"]);
    }
}
