//! Defaults for a change that does not state something, each with its source.

use super::change::{Change, ChangeKind, Delay};
use super::incident::FixKind;
use super::units::{Seconds, Share};

/// From the alert until somebody knows: median 4.8 minutes, 19 of 20 within 47.
///
/// Automatic detection in 354 post-mortems of public clouds: 70% within 10 minutes, 95% within 47;
/// the median is a lognormal fit to those. Li et al., "Going through the life cycle of faults in
/// clouds" (ISSRE 2022).
pub const DETECTION: (Seconds, Seconds) = (whole_seconds(288), whole_seconds(2820));

/// From detection until the change is taken back: median 91 minutes, 19 of 20 within 503.
///
/// Time to mitigate by rollback: mean 156 and median 91 minutes, hence a lognormal sigma of 1.04.
/// The same study, table VIII.
pub const ROLLBACK: (Seconds, Seconds) = (Seconds::minutes(91), Seconds::minutes(503));

/// From the first impact of an incident until it is mitigated, by the kind of fix: the median in minutes.
///
/// Published post-mortems of 2011 to 2026 whose kind of fix is told: undo or correct the change (8 of them),
/// restart or add capacity (8), limit, bypass or reroute (4), repair of a database (3), wait for a vendor (2),
/// rebuild, restore or fail over by hand (7). Such post-mortems are chosen, quick to detect and severe.
const FIX_MEDIANS: [(FixKind, u32); 6] = [
    (FixKind::Undo, 54),
    (FixKind::Capacity, 103),
    (FixKind::Limit, 134),
    (FixKind::Repair, 90),
    (FixKind::Vendor, 104),
    (FixKind::Rebuild, 610),
];

/// The standard deviation of the logarithm of the same time, over 29 incidents of all kinds: of one kind
/// there are too few for a spread of their own.
const FIX_SIGMA: f64 = 0.98;

/// How long an outage lasts that has nothing to do with the change: median 30 minutes, 19 of 20 within
/// 4 hours, which makes a mean of 67 minutes.
///
/// An assumption, of the order of what operators report; state `mttr` where it is measured.
pub const MTTR: (Seconds, Seconds) = (Seconds::minutes(30), Seconds::hours(4));

/// The failing share of a flow at which an alert notices, where neither it nor a count is stated: 1%.
pub const ALERT_THRESHOLD: f64 = 0.01;

/// How many failed requests prove a failure, where no count is stated: 10.
///
/// An assumption, of the order of the least numbers that alerts on error budgets ask for.
pub const FAILURES: u32 = 10;

/// After how long a customer gives an order up: 60 seconds.
///
/// The time after which gateways give up on what is behind them when nobody says otherwise:
/// `proxy_read_timeout` of nginx, and the idle timeout of AWS Application Load Balancers.
pub const PATIENCE: Seconds = Seconds::whole(60);

/// The timeout that a caller has at its best or worst where none is stated: 1 second.
///
/// An assumption; a call whose callee takes longer than that in normal times is given its 99th
/// percentile, since nobody sets a timeout that ordinary answers miss.
pub const USUAL_TIMEOUT: Seconds = Seconds::whole(1);

/// The share of a pool in use in normal times, at its worst, where rates or latencies are not stated: 80%.
///
/// An assumption: beyond it people usually add threads or connections.
pub const POOL_USE: f64 = 0.8;

/// For how many seconds a request holds a thread in normal times where neither rates nor latencies are
/// stated: 0.1.
///
/// An assumption, of the order of one answer of a service with a database behind it.
pub const USUAL_HOLD_S: f64 = 0.1;

const fn whole_seconds(seconds: u32) -> Seconds {
    Seconds::whole(seconds)
}

/// The chance that a change breaks, by its kind: 10% for all of them.
///
/// The change failure rate of the middle cluster of DORA's 2024 report (5% for the best, 40% for
/// the worst). No rate by kind of change has been published that we know of, so kinds do not differ.
pub fn failure_probability(_kind: Option<ChangeKind>) -> Share {
    Share::new(0.1).expect("a share")
}

/// The delay until a break is noticed.
pub fn detection_delay(change: &Change) -> Delay {
    let stated = change.detection.as_ref().and_then(|detection| detection.delay);
    stated.unwrap_or(Delay { median: DETECTION.0, p95: DETECTION.1 })
}

/// The delay until wrong answers are noticed: that of any break where nothing else is said.
pub fn detection_corrupt(change: &Change) -> Delay {
    let stated = change.detection.as_ref().and_then(|detection| detection.corrupt);
    stated.unwrap_or_else(|| detection_delay(change))
}

/// The delay until the change is taken back.
pub fn rollback_delay(change: &Change) -> Delay {
    let stated = change.rollback.as_ref().and_then(|rollback| rollback.delay);
    stated.unwrap_or(Delay { median: ROLLBACK.0, p95: ROLLBACK.1 })
}

/// Returns the usual time from the first impact until a fix of this kind has mitigated it.
pub fn fix_delay(fix: FixKind) -> Delay {
    let of_kind = FIX_MEDIANS.iter().find(|(kind, _)| *kind == fix);
    let median = Seconds::minutes(of_kind.expect("every kind has a median").1);
    let p95 = median.get() * libm::exp(FIX_SIGMA * Delay::Z95);
    Delay { median, p95: Seconds::new(p95).expect("a duration") }
}

/// Returns how long outages last where nothing is stated.
pub fn time_to_repair(stated: Option<Delay>) -> Delay {
    stated.unwrap_or(Delay { median: MTTR.0, p95: MTTR.1 })
}

/// Returns the assumptions made about this change, in sentences for the reader of a report.
pub fn default_assumptions(change: &Change) -> Vec<String> {
    let mut said = Vec::new();
    // A single moment has no detection and no rollback.
    if change.is_moment() {
        return said;
    }
    if change.detection.as_ref().is_none_or(|detection| detection.delay.is_none()) {
        said.push(
            "the change does not say how fast a break is noticed: median 4.8 min, 19 of 20 within 47 min \
             (automatic detection in 354 cloud post-mortems, ISSRE 2022)"
                .to_owned(),
        );
    }
    if change.rollback.as_ref().is_none_or(|rollback| rollback.delay.is_none()) {
        said.push(
            "the change does not say how long a rollback takes: median 91 min, 19 of 20 within 503 min \
             (mitigation by rollback in the same study)"
                .to_owned(),
        );
    }
    // A factor that was stated otherwise is no assumption.
    let needs = |needs: &[_], factor: f64| !needs.is_empty() && (factor - 2.0).abs() < 1e-12;
    let detection = change.detection.as_ref().is_some_and(|d| needs(&d.depends_on, d.needs_factor));
    let rollback = change.rollback.as_ref().is_some_and(|r| needs(&r.depends_on, r.needs_factor));
    if detection || rollback {
        said.push(
            "detection or rollback takes twice as long while a tool it needs is failed (no published figure)"
                .to_owned(),
        );
    }
    said
}
