//! Advice as edits of the files that it is about: comments and order stay, and what is written reads
//! back as exactly what was simulated.

use super::protection::{
    FIRST, GATE, KILL_SWITCH, ProtectionStep, cache_hit_ratio, delay_yaml, half_delay,
    may_be_corrupt, stage_yaml, written_at,
};
use super::{Advice, AdvisedState};
use crate::analysis::unknowns::dependencies_mut;
use crate::diagnostic::{Place, Sources};
use crate::load::edit::{Edit, EditAction, EditPlace, Refusal, apply_edits};
use crate::load::{self, Value};
use crate::model::change::{ChangePlaces, Delay, Routing};
use crate::model::incident::held_within;
use crate::model::topology::{Caller, DomainId, ServiceId};
use crate::model::{Change, Topology, defaults, yaml_word};
use crate::report::EditedFile;

/// The texts of the files that advice is about; nothing where there is no file of its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileTexts<'a> {
    /// The topology, or the incident that holds it.
    pub topology: Option<&'a str>,
    /// The change, or the incident that holds it.
    pub change: Option<&'a str>,
}

/// Edited texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WrittenFiles {
    /// The topology, where the advice changes it.
    pub topology: Option<String>,
    /// The change, where the advice changes it. Where both are one file, all of it is in `topology`.
    pub change: Option<String>,
    /// Protections that are not in them, each with the reason.
    pub left_out: Vec<(String, String)>,
}

#[derive(Clone, Copy, PartialEq)]
enum File {
    Topology,
    Change,
}

impl Advice {
    /// Writes its steps into the files. A step that cannot be written so that it reads back as
    /// what was simulated is left out, and said.
    pub fn write_files(&self, texts: FileTexts<'_>) -> WrittenFiles {
        // An incident holds both in one file, where all edits must go.
        let is_one = texts.topology.is_some() && texts.topology == texts.change;
        let mut topology = FileDraft::new(texts.topology, EditedFile::Topology);
        let mut change = FileDraft::new(texts.change.filter(|_| !is_one), EditedFile::Change);
        let (mut state, mut left_out) = (self.base.clone(), Vec::new());
        for (what, steps) in &self.steps {
            match write_protection(steps, &state, [&topology, &change], is_one) {
                Ok((drafts, next)) => {
                    ([topology, change], state) = (drafts, next);
                }
                Err(reason) => left_out.push((what.clone(), reason)),
            }
        }
        let text = |draft: FileDraft| draft.text.filter(|_| draft.is_edited);
        WrittenFiles { topology: text(topology), change: text(change), left_out }
    }
}

/// One protection written into both files, and what is simulated with it.
fn write_protection(
    steps: &[ProtectionStep],
    state: &AdvisedState,
    drafts: [&FileDraft; 2],
    is_one: bool,
) -> Result<([FileDraft; 2], AdvisedState), String> {
    // All or nothing: a protection of which one step cannot be written is not written at all.
    let [mut topology, mut change] = drafts.map(Clone::clone);
    let mut next = state.clone();
    for step in steps {
        let (file, edits) = step.step_edits(&next.topology, &next.change);
        let draft = if file == File::Topology || is_one { &mut topology } else { &mut change };
        let held = if file == File::Topology { "topology" } else { "change" };
        draft.apply_edits(&edits, held).map_err(|refusal| refusal.to_string())?;
        // Each step is written for what the steps before it made of the files.
        next = next.with_steps(&[*step]);
    }
    let changes = if is_one { &topology } else { &change };
    // The written text is read again and must give the same model, as the last defence against a
    // wrong edit.
    if topology.reads_as(&next.topology) && changes.reads_as_change(&next) {
        return Ok(([topology, change], next));
    }
    Err("what is written would not be what was simulated".to_owned())
}

/// A text in the making.
#[derive(Clone)]
struct FileDraft {
    text: Option<String>,
    is_edited: bool,
    file: EditedFile,
}

impl FileDraft {
    fn new(text: Option<&str>, file: EditedFile) -> Self {
        Self { text: text.map(ToOwned::to_owned), is_edited: false, file }
    }

    fn apply_edits(&mut self, edits: &[Edit], held: &'static str) -> Result<(), NoEdit> {
        let text = self.text.as_ref().ok_or(NoEdit::NoFile(self.file))?;
        // Within an incident, everything is one key deeper.
        let within = load::parse_document("it", text.clone().into_bytes(), &mut Sources::default())
            .is_ok_and(|parse| {
                parse.get(held).is_some_and(|entry| matches!(entry.value.value, Value::Mapping(_)))
            });
        let placed = |edit: &Edit| {
            let mut edit = edit.clone();
            if within {
                edit.path.insert(0, EditPlace::Key(held.to_owned()));
            }
            edit
        };
        let edits: Vec<Edit> = edits.iter().map(placed).collect();
        self.text = Some(apply_edits(text, &edits)?);
        self.is_edited = true;
        Ok(())
    }

    /// Whether it reads back as a topology, places aside.
    fn reads_as(&self, wanted: &Topology) -> bool {
        if !self.is_edited {
            return true;
        }
        let read = self
            .parse_draft("topology")
            .and_then(|document| Topology::from_document(&document).ok());
        read.is_some_and(|read| without_places(read) == without_places(wanted.clone()))
    }

    /// Whether it reads back as a change to the topology, places aside.
    fn reads_as_change(&self, wanted: &AdvisedState) -> bool {
        if !self.is_edited {
            return true;
        }
        let read = self.parse_draft("change");
        let read = read.and_then(|read| Change::from_document(&read, &wanted.topology).ok());
        read.is_some_and(|read| unplaced_change(read) == unplaced_change(wanted.change.clone()))
    }

    fn parse_draft(&self, key: &'static str) -> Option<load::Document> {
        let text = self.text.clone()?;
        let document =
            load::parse_document("it", text.into_bytes(), &mut Sources::default()).ok()?;
        Some(held_within(document, key))
    }
}

#[derive(Debug, thiserror::Error)]
enum NoEdit {
    #[error("there is no single file of the {0}")]
    NoFile(EditedFile),
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// A topology without where it is written.
fn without_places(mut topology: Topology) -> Topology {
    let nowhere = Place::default();
    for service in &mut topology.services {
        service.place = nowhere;
        service.endpoints.iter_mut().for_each(|endpoint| endpoint.place = nowhere);
    }
    topology.domains.iter_mut().for_each(|domain| domain.place = nowhere);
    topology.flows.iter_mut().for_each(|flow| flow.place = nowhere);
    dependencies_mut(&mut topology).for_each(|dependencies_mut| dependencies_mut.place = nowhere);
    topology
}

/// A change without where it is written.
fn unplaced_change(mut change: Change) -> Change {
    change.targets.iter_mut().for_each(|target| target.place = Place::default());
    change.places = ChangePlaces::default();
    change
}

fn key_path(text: &str) -> EditPlace {
    EditPlace::Key(text.to_owned())
}

fn set_key(
    path: Vec<EditPlace>,
    key: &str,
    value: impl Into<String>,
    short: Option<&'static str>,
) -> Edit {
    Edit { path, action: EditAction::Set { key: key.to_owned(), value: value.into(), short } }
}

impl ProtectionStep {
    /// Returns the file and the edits of a step, for a topology and a change that do not have it
    /// yet.
    fn step_edits(self, topology: &Topology, change: &Change) -> (File, Vec<Edit>) {
        let at_dependency = |at, pairs: &[(&str, &str)]| {
            let path = dependency_path(topology, at);
            let edits = pairs
                .iter()
                .map(|(key, value)| set_key(path.clone(), key, *value, Some("service")));
            (File::Topology, edits.collect())
        };
        match self {
            Self::Timeout(at) => at_dependency(at, &[("timeout", "2s")]),
            Self::Breaker(at) => at_dependency(at, &[("circuit_breaker", "true")]),
            Self::Validate(at) => at_dependency(at, &[("validates", "true")]),
            Self::Soft(at) => at_dependency(at, &[("criticality", "soft")]),
            Self::Fallback(at) => at_dependency(at, &[("fallback", "static")]),
            Self::Retry(at) => at_dependency(at, &[("retries", "2"), ("retry_budget", "20%")]),
            Self::Cache(at) => at_dependency(at, &[("cache", "{ ttl: 10m, hit_ratio: 90% }")]),
            Self::StaticCache(at) => {
                let path = [dependency_path(topology, at), vec![key_path("cache")]].concat();
                let hit_ratio = cache_hit_ratio(topology, at).to_string();
                let edits = [("ttl", "static".to_owned()), ("hit_ratio", hit_ratio)];
                let edits = edits.map(|(key, value)| set_key(path.clone(), key, value, None));
                (File::Topology, edits.into())
            }
            Self::WarmCache(at) => {
                let path = [dependency_path(topology, at), vec![key_path("cache")]].concat();
                (File::Topology, vec![set_key(path, "refill", "0s", None)])
            }
            Self::RetryBudget(at) => at_dependency(at, &[("retry_budget", "10%")]),
            Self::Bulkhead(at, calls) => {
                at_dependency(at, &[("max_in_flight", calls.to_string().as_str())])
            }
            Self::BoundedQueue(service, work) => {
                let path = vec![key_path("services"), key_path(&topology.service(service).name)];
                (File::Topology, vec![set_key(path, "queue", work.to_string(), None)])
            }
            Self::SecondDomain(service, domain) => {
                (File::Topology, second_domain(topology, service, domain))
            }
            Self::Shed(service) => {
                let path = vec![key_path("services"), key_path(&topology.service(service).name)];
                (File::Topology, vec![set_key(path, "queue", "none", None)])
            }
            Self::KillSwitch => {
                let delay = format!("{{ {} }}", delay_yaml(KILL_SWITCH));
                (File::Change, vec![set_key(Vec::new(), "kill_switch", delay, None)])
            }
            Self::SmallerFirst | Self::LongerBake | Self::Gate => {
                (File::Change, self.stage_edits(change))
            }
            Self::FasterDetection => (File::Change, detection_edits(change)),
            Self::FasterRollback => {
                let delay = half_delay(defaults::rollback_delay(change));
                let stated = change.rollback.is_some();
                (File::Change, delay_edits("rollback", stated, delay))
            }
        }
    }

    fn stage_edits(self, change: &Change) -> Vec<Edit> {
        let wanted = self.changed_rollout(change);
        let whole = || {
            let stages: Vec<String> = wanted.stages.iter().map(stage_yaml).collect();
            let routing = match wanted.routing {
                Routing::Random => "",
                Routing::Sticky => "routing: sticky, ",
            };
            let value = format!("{{ {routing}stages: [{}] }}", stages.join(", "));
            vec![set_key(Vec::new(), "rollout", value, None)]
        };
        // A named strategy has no stages in the file that could be edited.
        let Some(rollout) = change.rollout.as_ref().filter(|rollout| rollout.strategy.is_none())
        else {
            return whole();
        };
        let path = vec![key_path("rollout"), key_path("stages")];
        if self == Self::SmallerFirst {
            let share = format!("{}%", FIRST.0 * 100.0);
            let item = format!("{{ exposure: {share}, bake: {} }}", FIRST.1);
            return vec![Edit { path, action: EditAction::First(item) }];
        }
        let mut edits = Vec::new();
        for (index, (stage, wanted)) in rollout.stages.iter().zip(&wanted.stages).enumerate() {
            let at = || [path.as_slice(), &[EditPlace::Item(index)]].concat();
            // Only keys that differ are written, so that the rest of the stage stays as a person
            // wrote it.
            if let Some(bake) = wanted.bake.filter(|_| wanted.bake != stage.bake) {
                edits.push(set_key(at(), "bake", bake.to_string(), Some("exposure")));
            }
            if wanted.catch_probability != stage.catch_probability {
                edits.push(set_key(
                    at(),
                    "catch_probability",
                    format!("{}%", GATE * 100.0),
                    Some("exposure"),
                ));
            }
        }
        edits
    }
}

/// Where a dependency is written.
fn dependency_path(topology: &Topology, at: usize) -> Vec<EditPlace> {
    let (caller, index) = written_at(topology, at);
    let mut path = match caller {
        Caller::Flow(flow) => {
            vec![
                key_path("flows"),
                key_path(&topology.flows[flow as usize].name),
                key_path("steps"),
            ]
        }
        Caller::Node(node) => {
            let service = topology.service(node.service);
            let mut path = vec![key_path("services"), key_path(&service.name)];
            if let Some(endpoint) = node.endpoint {
                path.extend([
                    key_path("endpoints"),
                    key_path(&service.endpoints[endpoint as usize].name),
                ]);
            }
            path.push(key_path("dependencies"));
            path
        }
    };
    path.push(EditPlace::Item(index));
    path
}

fn second_domain(topology: &Topology, service: ServiceId, domain: DomainId) -> Vec<Edit> {
    let item = topology.service(service);
    let path = [key_path("services"), key_path(&item.name)];
    let with = |more: &[&str]| {
        let more = more.iter().map(|more| key_path(more));
        path.iter().cloned().chain(more).collect::<Vec<_>>()
    };
    let name = yaml_word(&topology.domain(domain).name);
    let mut edits = Vec::new();
    if !item.domains.is_empty() && !item.domains.contains(&domain) {
        edits.push(Edit { path: with(&["domains"]), action: EditAction::Last(name.clone()) });
    }
    if let Some(replicas) = item.replicas.as_ref().filter(|replica| replica.domains.len() == 1) {
        let count = replicas.count.saturating_mul(2).to_string();
        edits.push(set_key(with(&["replicas"]), "count", count, None));
        edits.push(Edit { path: with(&["replicas", "domains"]), action: EditAction::Last(name) });
    }
    edits
}

fn detection_edits(change: &Change) -> Vec<Edit> {
    let delay = half_delay(defaults::detection_delay(change));
    let stated = change.detection.is_some();
    let mut edits = delay_edits("detection", stated, delay);
    if may_be_corrupt(change) {
        let corrupt = delay_yaml(half_delay(defaults::detection_corrupt(change)));
        edits.push(set_key(
            vec![key_path("detection")],
            "corrupt",
            format!("{{ {corrupt} }}"),
            None,
        ));
    }
    edits
}

/// A delay in a mapping that may be there, or be short for its median.
fn delay_edits(name: &str, is_stated: bool, delay: Delay) -> Vec<Edit> {
    if !is_stated {
        return vec![set_key(Vec::new(), name, format!("{{ {} }}", delay_yaml(delay)), None)];
    }
    let path = || vec![key_path(name)];
    vec![
        set_key(path(), "median", delay.median.to_string(), Some("median")),
        set_key(path(), "p95", delay.p95.to_string(), Some("median")),
    ]
}
