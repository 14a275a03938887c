//! Studies an incident for its review: the comparison, and the advice.

use crate::cli::Failure;
use crate::cli::args::SamplingArgs;
use crate::cli::run::SimulationRequest;
use blastwave::analysis::replay::{ReplayRequest, replay_incidents};
use blastwave::analysis::{Settings, Stop, advise};
use blastwave::model::Incident;
use blastwave::project::IncidentCase;
use blastwave::report::replay::IncidentReport;
use blastwave::report::{AdviseReport, Report};

/// How many trials estimate what would have helped: there are many protections to try.
const ADVICE_TRIALS: u64 = 4096;

/// Studies of an incident.
pub(crate) struct Studied {
    /// Comparison of what was observed with what is most likely.
    pub(crate) replayed: IncidentReport,
    /// Advice on what would have helped.
    pub(crate) advice: AdviseReport,
    /// Whether it was interrupted.
    pub(crate) is_partial: bool,
}

/// Studies an incident in as many trials as its simulation was given.
pub(crate) fn study_incident(
    question: &SimulationRequest,
    sampling: &SamplingArgs,
    incident: Incident,
    simulated: &Report,
) -> Result<Studied, Failure> {
    let inputs = &question.inputs;
    let (topology, change) = (&inputs.topology, &inputs.change);
    let with = |trials| Settings { stop: Stop::Trials(trials), ..question.settings };
    let cases = [IncidentCase { topology: topology.clone(), change: change.clone(), incident }];
    let settings = with(simulated.trials);
    let mut report = question.run_analysis(sampling, |progress| {
        replay_incidents(&cases, ReplayRequest::default(), &settings, progress)
    })?;
    // At least two, since a saving is judged by its interval.
    let settings = with(simulated.trials.clamp(2, ADVICE_TRIALS));
    let advice = question
        .run_analysis(sampling, |progress| advise(topology, change, &[], &settings, progress))?;
    let is_partial = report.partial || advice.partial;
    let replayed = report.incidents.pop().expect("one incident is asked about");
    Ok(Studied { replayed, advice, is_partial })
}
