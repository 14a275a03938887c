//! Policies and waivers: from arguments, or from a scenario, to what the gate applies.
//!
//! A change must not decide what it is judged by. Where the policy says `waivers_from: main`, the waivers and
//! the policy itself are read from the commit at which the change left that branch. Whether the policy says so
//! is asked of the base of the range first: a change that removes the line is judged by it all the same.

use super::Failure;
use super::commands::check::{GateArgs, provide};
use super::diff::DiffArgs;
use super::git;
use blastwave::diagnostic::{Diagnostic, Sources};
use blastwave::load;
use blastwave::model::Topology;
use blastwave::policy::{Policy, Waiver, Waivers};
use blastwave::project::Project;

/// Policy that is applied, and the waivers of its rules.
pub(crate) struct AppliedPolicy {
    /// All policies, put together.
    pub(crate) policy: Policy,
    /// Whether it comes with the program.
    pub(crate) is_default: bool,
    /// The waivers.
    pub(crate) waivers: Vec<Waiver>,
    /// The text of the files, to show places in them.
    pub(crate) sources: Sources,
    /// Sentences that say from where the files are.
    pub(crate) assumptions: Vec<String>,
}

/// Reads the policies and waivers of a check.
pub(crate) fn read_applied(
    args: &GateArgs,
    diff: &DiffArgs,
    inputs: &Project,
) -> Result<AppliedPolicy, Failure> {
    // The command line stands before what a scenario names.
    let paths = if args.policy.is_empty() { &inputs.policies } else { &args.policy };
    let waivers = args.waivers.as_ref().or(inputs.waivers.as_ref());
    let mut sources = Sources::default();
    let mut assumptions = Vec::new();
    if let Some(revision) = &args.policy_from {
        // The built-in policy does not lie in the repository, so no revision has it.
        if paths.is_empty() {
            return Err(Failure::usage("`--policy-from` needs a policy")
                .help("name one with `--policy FILE`; the one of the program is in no commit"));
        }
        for path in paths {
            assumptions.push(provide(&mut sources, path, "--policy-from", revision)?);
        }
    }
    let protection = find_protection(paths, diff, &sources)?;
    if let Some(protection) = &protection {
        // A revision that was asked for stands before the branch.
        let paths = paths.iter().filter(|_| args.policy_from.is_none());
        for path in paths {
            assumptions.push(protection.provide_file(&mut sources, path)?);
        }
    }
    let topology = &inputs.topology;
    let read = read_policies(paths, topology, &mut sources);
    let policy = read.map_err(|diagnostics| input_failure(diagnostics, &sources))?;
    let waivers = match (waivers, &protection) {
        (None, _) => Vec::new(),
        (Some(path), None) => {
            let read = read_waivers(path, Some(topology), &mut sources);
            read.map_err(|diagnostics| input_failure(diagnostics, &sources))?
        }
        (Some(path), Some(protection)) => {
            protection.read_waivers(path, &mut sources, &mut assumptions)?
        }
    };
    // Without a change it is the topology itself that is judged.
    let (policy, is_default) = match policy {
        Some(policy) => (policy, false),
        None if inputs.change.is_steady() => (Policy::steady_state(&mut sources), true),
        None => (Policy::default_policy(&mut sources), true),
    };
    Ok(AppliedPolicy { policy, is_default, waivers, sources, assumptions })
}

/// Reads policies and puts them together; `None` where none is named.
pub(crate) fn read_policies(
    paths: &[String],
    topology: &Topology,
    sources: &mut Sources,
) -> Result<Option<Policy>, Vec<Diagnostic>> {
    let (mut policies, mut problems) = (Vec::new(), Vec::new());
    for path in paths {
        let read = load::read_document(path, sources)
            .and_then(|document| Policy::from_document(&document, sources, Some(topology)));
        match read {
            Ok(policy) => policies.push(policy),
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() { Policy::layered(policies) } else { Err(problems) }
}

/// Reads waivers. With a topology, the services and teams that they name must be there.
pub(crate) fn read_waivers(
    path: &str,
    topology: Option<&Topology>,
    sources: &mut Sources,
) -> Result<Vec<Waiver>, Vec<Diagnostic>> {
    let document = load::read_document(path, sources)?;
    Ok(Waivers::from_document(&document, topology)?.list)
}

fn input_failure(diagnostics: Vec<Diagnostic>, sources: &Sources) -> Failure {
    Failure::Input { diagnostics, sources: sources.clone() }
}

/// Branch that waivers are read from, as commits.
struct Protection {
    branch: String,
    /// The newest commit of the branch.
    tip: String,
    /// The commit at which the change left the branch.
    base: String,
}

/// Returns the branch that a policy has its waivers read from; the base of the range is asked first.
fn find_protection(
    paths: &[String],
    diff: &DiffArgs,
    sources: &Sources,
) -> Result<Option<Protection>, Failure> {
    let from = diff.base_commit()?;
    let mut branch = None;
    if let Some(from) = &from {
        for path in paths.iter().filter(|path| *path != "-") {
            let bytes = git::file_in_commit(from, path)?;
            branch = branch.or_else(|| named_branch(path, bytes?));
        }
    }
    // What the files at hand say is too little to trust, but more than nothing.
    for path in paths.iter().filter(|path| *path != "-") {
        let bytes = match sources.provided(path) {
            Some(bytes) => Some(bytes.to_vec()),
            None => load::read_bytes(path).ok(),
        };
        branch = branch.or_else(|| named_branch(path, bytes?));
    }
    let Some(branch) = branch else { return Ok(None) };
    let tip = git::tip_of_branch(&branch)?;
    let base = git::merge_base(&tip, from.as_deref())?;
    Ok(Some(Protection { branch, tip, base }))
}

/// Returns the branch that the text of a policy names; `None` where it names none or is no policy.
fn named_branch(path: &str, bytes: Vec<u8>) -> Option<String> {
    let mut sources = Sources::default();
    let document = load::parse_document(path, bytes, &mut sources).ok()?;
    // Names are not checked: the topology of that time may have had others.
    let policy = Policy::from_document(&document, &sources, None).ok()?;
    Some(policy.waivers_from?.name)
}

impl Protection {
    /// Has a policy read as the branch has it; returns a sentence that says so.
    fn provide_file(&self, sources: &mut Sources, path: &str) -> Result<String, Failure> {
        if path == "-" {
            return Err(Failure::usage("`waivers_from` needs a policy that git knows, not `-`"));
        }
        let branch = &self.branch;
        let Some(bytes) = git::file_in_commit(&self.base, path)? else {
            // A policy that is new has nothing on the branch that could be evaded.
            return Ok(format!(
                "{path} is not on `{branch}` yet, so the file at hand is judged by"
            ));
        };
        let is_changed = load::read_bytes(path).is_ok_and(|here| here != bytes);
        let rest = if is_changed { "; the file at hand differs, and is not applied" } else { "" };
        sources.provide(path, bytes);
        Ok(format!("{path} is that of `{branch}` ({}){rest}", self.short_base()))
    }

    /// Reads waivers as they were when the change left the branch. Those that the branch has taken back since
    /// are marked.
    fn read_waivers(
        &self,
        path: &str,
        sources: &mut Sources,
        assumptions: &mut Vec<String>,
    ) -> Result<Vec<Waiver>, Failure> {
        if path == "-" {
            return Err(Failure::usage("`waivers_from` needs waivers that git knows, not `-`"));
        }
        let branch = &self.branch;
        let Some(bytes) = git::file_in_commit(&self.base, path)? else {
            assumptions.push(format!("{path} was not on `{branch}` before, so no waiver counts"));
            return Ok(Vec::new());
        };
        let is_changed = load::read_bytes(path).is_ok_and(|here| here != bytes);
        let rest = if is_changed { "; the file at hand differs, and does not count" } else { "" };
        assumptions.push(format!("{path} is that of `{branch}` ({}){rest}", self.short_base()));
        // Services and teams are those of that time, which the topology at hand need not have.
        let parse = |bytes, sources: &mut Sources| {
            let document = load::parse_document(path, bytes, sources)?;
            Ok(Waivers::from_document(&document, None)?.list)
        };
        let mut waivers =
            parse(bytes, sources).map_err(|problems| input_failure(problems, sources))?;
        let newest = match git::file_in_commit(&self.tip, path)? {
            // A file that cannot be read vouches for no waiver.
            Some(bytes) => parse(bytes, &mut Sources::default()).unwrap_or_default(),
            None => Vec::new(),
        };
        for waiver in &mut waivers {
            waiver.is_withdrawn = !newest.iter().any(|other| waiver.says_the_same(other));
        }
        Ok(waivers)
    }

    fn short_base(&self) -> &str {
        &self.base[..self.base.len().min(7)]
    }
}
