//! A change that is made from a plan or from manifests, and judged at once.

use clap::Args;

use super::Failure;
use super::args::CheckArgs;
use super::commands::change::{change_name, derive_checked};
use super::inputs::{self, Inputs};
use blastwave::diagnostic::Sources;
use blastwave::import::{ChangeFormat, ChangeRequest};

/// From where a change is made.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct PlanArgs {
    /// Take what this plan of Terraform changes for what breaks, as `blastwave change terraform` does; `-` is
    /// standard input; can be repeated
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "What breaks",
        conflicts_with_all = ["change", "breaks", "manifests"]
    )]
    plan: Vec<String>,

    /// The same for what differs between two states of rendered Kubernetes manifests, files or directories
    #[arg(
        long,
        value_names = ["OLD", "NEW"],
        num_args = 2,
        help_heading = "What breaks",
        conflicts_with_all = ["change", "breaks"]
    )]
    manifests: Vec<String>,

    /// Changed resources that belong to no service, on purpose: `module.backups.*`; can be repeated
    ///
    /// Only for resources that match no service. A change of nothing else proceeds.
    #[arg(long, value_name = "PATTERN", help_heading = "What breaks")]
    ignore_resources: Vec<String>,
}

impl PlanArgs {
    /// The format and the files of what the change is made from; `None` where it is not.
    fn origin(&self) -> Option<(ChangeFormat, &[String])> {
        if !self.plan.is_empty() {
            return Some((ChangeFormat::Terraform, &self.plan));
        }
        (!self.manifests.is_empty()).then_some((ChangeFormat::Kubernetes, &self.manifests))
    }
}

/// Reads what a check names; where its change is made from a plan or from manifests, returns what is assumed
/// in that.
pub(crate) fn read_inputs(
    args: &CheckArgs,
    provided: Sources,
) -> Result<(Inputs, Vec<String>), Failure> {
    let Some((format, files)) = args.plan.origin() else {
        if !args.plan.ignore_resources.is_empty() {
            return Err(Failure::usage("`--ignore-resources` needs `--plan` or `--manifests`"));
        }
        let inputs = inputs::read_with_diff(&args.question, &args.diff, provided)?;
        return Ok((inputs, Vec::new()));
    };
    // Flags that speak of a diff mean nothing beside a plan.
    args.diff.refuse_lonely_flags()?;
    let request = inputs::request_of(&args.question);
    let Some(path) = request.topology else {
        return Err(Failure::usage("no topology is named")
            .help("put it first: `blastwave check shop.yaml --plan plan.json`"));
    };
    let count = files.iter().chain([&path]).filter(|file| *file == "-").count();
    if count > 1 {
        return Err(Failure::usage("standard input can be read only once"));
    }
    let mut provided = provided;
    if path == "-" {
        // It is read twice: for its services, and as a part of the question.
        let bytes = blastwave::load::read_bytes("-").map_err(|problem| Failure::Input {
            diagnostics: vec![*problem],
            sources: Sources::default(),
        })?;
        provided.provide("-", bytes);
    }
    let topology = inputs::read_provided_topology(&path, args.question.environment(), &provided)?;
    let name = change_name(format, files);
    let request = ChangeRequest {
        format,
        files,
        name: &name,
        ignored: &args.plan.ignore_resources,
        environment: None,
    };
    let derived = derive_checked(&request, &topology)?;
    let file = format!("the change made from {name}");
    let inputs = inputs::read_with_derived(&args.question, &file, derived.text, provided)?;
    Ok((inputs, derived.assumptions))
}
