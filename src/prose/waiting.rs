//! Sentences on what waits: orders that are late, and why requests wait in vain.

use std::collections::{BTreeMap, BTreeSet};

use super::format;
use super::simulation::{HIT, Wording};
use crate::report::{UnitReport, WaitingReason, WaitingReport};

/// How many flows are named that are late.
const FLOWS: usize = 3;

/// Returns the cell of a unit in the column of what is late: `35% (4,200)`, with the number of orders
/// where it is known. Empty where nothing is late.
pub(crate) fn late_cell(unit: &UnitReport) -> String {
    unit.noticeable_late().map_or_else(String::new, |late| match late.count {
        Some(count) => format!("{} ({})", format::percent(late.p), format::two_digits(count)),
        None => format::percent(late.p),
    })
}

/// Returns the head of that column; empty where every cell is.
pub(crate) fn late_head(units: &[UnitReport]) -> &'static str {
    if units.iter().any(|unit| unit.noticeable_late().is_some()) { "late" } else { "" }
}

/// Returns which flows answer late: `Late, but served: at worst 35% of place-order (4,200 orders).`
pub(crate) fn late_flows(flows: &[UnitReport], wording: &Wording) -> Option<String> {
    let named = |flow: &UnitReport| {
        let late = flow.noticeable_late()?;
        let share = format::percent(late.p);
        let name = (wording.name)(&flow.name);
        Some(match late.count.map(format::two_digits) {
            Some(count) => {
                let noun = if count == "1" { "order" } else { "orders" };
                format!("{share} of {name} ({count} {noun})")
            }
            None => format!("{share} of {name}"),
        })
    };
    let named: Vec<String> = flows.iter().filter_map(named).collect();
    (!named.is_empty()).then(|| {
        format!("Late, but served, at the worst moment: {}.", format::list(&named, "and", FLOWS))
    })
}

/// Title of the section on reasons.
pub(crate) const TITLE: &str = "Why requests wait, or are refused";
/// How many reasons are named.
const REASONS_MAX: usize = 8;

/// Part of the most frequent reason from which on a cause is named before its consequences.
const TELLING: f64 = 0.1;

/// Returns why requests wait in vain: `all 200 threads of web wait for fraud (88%)`. What brings about
/// others comes first, then what is more frequent.
pub(crate) fn reasons(waiting: &[WaitingReport], wording: &Wording) -> Vec<String> {
    let shown: Vec<&WaitingReport> = waiting.iter().filter(|reason| reason.p >= HIT).collect();
    let groups = causes_first(&shown);
    let named = groups.iter().take(REASONS_MAX);
    let mut lines: Vec<String> = named
        .map(|group| {
            let sentence = sentence(group[0], wording.name);
            let more = match group.len() - 1 {
                0 => String::new(),
                more => format!(", and of {}", format::plural(more, "more caller")),
            };
            format!("{sentence}{more} ({})", format::percent(group[0].p))
        })
        .collect();
    if groups.len() > REASONS_MAX {
        let more = format::plural(groups.len() - REASONS_MAX, "more reason");
        lines.push(format!("and {more}"));
    }
    lines
}

/// Groups late answers of one service to all its callers, and puts what others follow from first: queues,
/// threads and caches, and answers that are late for no other late answer.
fn causes_first<'a>(shown: &[&'a WaitingReport]) -> Vec<Vec<&'a WaitingReport>> {
    let mut groups: Vec<Vec<&WaitingReport>> = Vec::new();
    let mut group_of_late: BTreeMap<&str, usize> = BTreeMap::new();
    let mut late_callers: BTreeSet<&str> = BTreeSet::new();
    for reason in shown {
        let on =
            reason.dependency.as_deref().filter(|_| reason.reason == WaitingReason::LateAnswers);
        let Some(on) = on else {
            groups.push(vec![reason]);
            continue;
        };
        late_callers.insert(&reason.service);
        let group = *group_of_late.entry(on).or_insert(groups.len());
        if group == groups.len() {
            groups.push(Vec::new());
        }
        groups[group].push(reason);
    }
    let most = shown.iter().map(|reason| reason.p).fold(0.0, f64::max);
    let is_cause = |group: &[&WaitingReport]| {
        let first = group[0];
        let on = first.dependency.as_deref().unwrap_or_default();
        // A member of several is not the service whose answers are late.
        let follows = first.reason == WaitingReason::LateAnswers && late_callers.contains(on);
        first.p >= TELLING * most && !follows
    };
    // Groups of one kind stay in the order of their shares.
    groups.sort_by_key(|group| {
        (!is_cause(group), is_cause(group) && group[0].reason == WaitingReason::LateAnswers)
    });
    groups
}

/// Returns a reason in a sentence without its end: what stands still, and for what it waits.
pub(crate) fn sentence(reason: &WaitingReport, name: fn(&str) -> String) -> String {
    let WaitingReport { size, limit_s, .. } = reason;
    let service = name(&reason.service);
    let dependency = reason.dependency.as_deref().map_or_else(String::new, name);
    let all = size.map_or_else(|| "all".to_owned(), |size| format!("all {size}"));
    let limit = |what: &str| {
        limit_s.map_or_else(String::new, |limit| format!(" ({what}{})", seconds_text(limit)))
    };
    match reason.reason {
        WaitingReason::QueueFull => {
            format!("the queue of {service} is full{}, so it refuses requests", limit(""))
        }
        WaitingReason::QueueWait => {
            format!("requests wait in the queue of {service} for longer than its callers do")
        }
        WaitingReason::Overload => {
            format!("{service} gets more load than it can serve, so it refuses requests")
        }
        WaitingReason::Threads if reason.dependency.is_some() => {
            format!("{all} threads of {service} wait for {dependency}")
        }
        WaitingReason::Threads => format!("{all} threads of {service} are busy"),
        WaitingReason::CallLimit => {
            format!(
                "{service} has {all} of its calls to {dependency} in progress, so it makes no more"
            )
        }
        WaitingReason::LateAnswers => {
            format!("answers of {dependency} come after the timeout of {service}{}", limit(""))
        }
        WaitingReason::CacheExpired => {
            format!(
                "the answers of {dependency} that {service} keeps have expired{}",
                limit("after ")
            )
        }
        WaitingReason::CacheLost => {
            format!("{service} has lost its cache of {dependency}, so every request is a call")
        }
        WaitingReason::CacheCold => {
            format!("the cache of {dependency} in {service} is cold and fills again")
        }
    }
}

/// Returns a limit as files state it: `2 s`, `500 ms`, `10 min`.
fn seconds_text(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 1.0 => format!("{} ms", (seconds * 1e6).round() / 1e3),
        seconds if seconds < 120.0 => format!("{} s", (seconds * 1e3).round() / 1e3),
        seconds if seconds < 7200.0 => format!("{} min", (seconds / 0.6).round() / 100.0),
        seconds => format!("{} h", (seconds / 36.0).round() / 100.0),
    }
}

/// Returns a reason in a few words, for a box of a picture: `queue full`, `threads wait for fraud 40%`.
pub(crate) fn caption(reason: &WaitingReport) -> String {
    let on = reason.dependency.as_deref().unwrap_or("others");
    let what = match reason.reason {
        WaitingReason::QueueFull => "queue full".to_owned(),
        WaitingReason::QueueWait => "queue too long".to_owned(),
        WaitingReason::Overload => "overloaded".to_owned(),
        WaitingReason::Threads if reason.dependency.is_some() => format!("threads wait for {on}"),
        WaitingReason::Threads => "threads busy".to_owned(),
        WaitingReason::CallLimit => format!("call limit to {on}"),
        WaitingReason::LateAnswers => format!("{on} too late"),
        WaitingReason::CacheExpired => format!("cache of {on} expired"),
        WaitingReason::CacheLost => format!("cache of {on} lost"),
        WaitingReason::CacheCold => format!("cache of {on} cold"),
    };
    // What holds in every trial needs no share.
    if reason.p >= 0.995 { what } else { format!("{what} {}", format::percent(reason.p)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::LateReport;

    fn flow(name: &str, late: impl Into<Option<LateReport>>) -> UnitReport {
        UnitReport { name: name.to_owned(), late: late.into(), ..UnitReport::default() }
    }

    fn late(p: f64, count: Option<f64>) -> LateReport {
        LateReport { p, count }
    }

    #[test]
    fn late_orders_are_told_as_a_share_and_a_number() {
        let wording = Wording { name: str::to_owned, arrow: "→" };
        let flows = [
            flow("order", late(0.35, Some(4213.0))),
            flow("browse", late(0.02, None)),
            flow("rewards", late(0.0, Some(0.0))),
            flow("ship", None),
        ];
        let said = late_flows(&flows, &wording);
        let wanted =
            "Late, but served, at the worst moment: 35% of order (4,200 orders) and 2% of browse.";
        assert_eq!(said.as_deref(), Some(wanted));
        assert_eq!(late_cell(&flows[0]), "35% (4,200)");
        assert_eq!((late_head(&flows), late_cell(&flows[2])), ("late", String::new()));
        assert_eq!((late_head(&flows[2..]), late_flows(&flows[2..], &wording)), ("", None));
    }

    #[test]
    fn causes_come_before_what_follows_from_them_and_callers_are_counted() {
        let reason = |reason, service: &str, on: Option<&str>, p| WaitingReport {
            reason,
            service: service.to_owned(),
            dependency: on.map(str::to_owned),
            size: None,
            limit_s: None,
            p,
            text: String::new(),
        };
        let waiting = [
            reason(WaitingReason::LateAnswers, "web", Some("orders"), 0.5),
            reason(WaitingReason::LateAnswers, "app", Some("orders"), 0.5),
            reason(WaitingReason::LateAnswers, "orders", Some("db"), 0.4),
            reason(WaitingReason::QueueWait, "db", None, 0.4),
            reason(WaitingReason::Overload, "rare", None, 0.03),
        ];
        let wording = Wording { name: str::to_owned, arrow: "→" };
        let lines = reasons(&waiting, &wording);
        let expected = [
            "requests wait in the queue of db for longer than its callers do (40%)",
            "answers of db come after the timeout of orders (40%)",
            "answers of orders come after the timeout of web, and of 1 more caller (50%)",
            "rare gets more load than it can serve, so it refuses requests (3%)",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_short_peak_of_many_orders_is_late_all_the_same() {
        let briefly = flow("order", late(0.0001, Some(900.0)));
        assert_eq!(late_cell(&briefly), "0.01% (900)");
    }
}
