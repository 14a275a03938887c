//! How changes of services are shipped: their own keys, those of their team, and those of all.

use super::change::{decode_detection, decode_rollback};
use super::names::Names;
use super::read::{Field, Mapping, Shape};
use super::rollout::decode_rollout;
use crate::diagnostic::{Code, Diagnostic};
use crate::model::shipping::{Shipping, ShippingDefaults};

pub(crate) const CHANGE_DEFAULTS: Shape = Shape {
    what: "a default for changes",
    keys: &["failure_probability", "rollout", "detection", "rollback", "teams"],
    schema: "/$defs/change_defaults",
};

pub(crate) const TEAM: Shape = Shape {
    what: "how a team ships",
    keys: &["failure_probability", "rollout", "detection", "rollback"],
    schema: "/$defs/team_shipping",
};

/// Reads `failure_probability`, `rollout`, `detection` and `rollback` out of a mapping that may have them.
pub(super) fn decode_shipping(mapping: &Mapping<'_>, names: &Names<'_>) -> Shipping {
    Shipping {
        failure_probability: mapping.get("failure_probability").and_then(|field| field.share()),
        rollout: mapping.get("rollout").and_then(|field| decode_rollout(&field)),
        detection: mapping.get("detection").and_then(|field| decode_detection(&field, names)),
        rollback: mapping.get("rollback").and_then(|field| decode_rollback(&field, names)),
    }
}

/// Reads `defaults.change`. `teams` are the teams that some service names.
pub(super) fn decode_defaults(
    field: &Field<'_>,
    names: &Names<'_>,
    teams: &[&str],
) -> ShippingDefaults {
    let Some(mapping) = field.mapping(&CHANGE_DEFAULTS) else {
        return ShippingDefaults::default();
    };
    let mut defaults =
        ShippingDefaults { all: decode_shipping(&mapping, names), ..ShippingDefaults::default() };
    for entry in mapping.get("teams").iter().flat_map(Field::named_entries) {
        let team = &*entry.key.text;
        if !teams.contains(&team) {
            // A misspelled team would leave its services with the defaults of all, unnoticed.
            let message = format!("no service has the team `{team}`");
            let problem = Diagnostic::error(Code::UnknownTeam, message, entry.key.place);
            let problems = field.problems();
            problems.push(problems.suggest_nearest(problem, team, teams.iter().copied(), || None));
        }
        let field = Field::of_entry(entry, field.problems());
        let Some(mapping) = field.mapping(&TEAM) else { continue };
        defaults.teams.insert(team.to_owned(), decode_shipping(&mapping, names));
    }
    defaults
}

/// Returns the teams that a list of services names, each once, sorted.
pub(super) fn team_names<'a>(services: impl Iterator<Item = Option<&'a str>>) -> Vec<&'a str> {
    let mut teams: Vec<&str> = services.flatten().collect();
    teams.sort_unstable();
    teams.dedup();
    teams
}
