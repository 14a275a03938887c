//! The progress bar: how many trials, how fast, how long still, how certain by now.

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::terminal::Terminal;
use super::watchdog;
use blastwave::analysis::Stop;
use blastwave::engine::{Progress, Tally};
use blastwave::summary;

/// Time before a progress bar appears.
const PATIENCE: Duration = Duration::from_millis(300);

/// A bar on standard error, if that is a terminal, and the ear for an early end.
pub(crate) struct TrialBar {
    line: ProgressBar,
    is_wanted: bool,
    started: Instant,
    stop: Stop,
    /// The trials that it is thought to take.
    goal: AtomicU64,
}

impl TrialBar {
    /// A bar for a simulation that ends as said.
    pub(crate) fn new(terminal: Terminal, stop: Stop) -> Self {
        let goal = match stop {
            Stop::Trials(trials) => trials,
            Stop::Precision { max_trials, .. } => max_trials,
        };
        let line = ProgressBar::with_draw_target(Some(goal), ProgressDrawTarget::hidden());
        line.set_style(bar_style());
        Self {
            line,
            is_wanted: terminal.has_progress() && std::io::stderr().is_terminal(),
            started: Instant::now(),
            stop,
            goal: AtomicU64::new(goal),
        }
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        self.line.finish_and_clear();
    }

    /// Whether it shall be seen by now; the first time, it appears.
    fn is_seen(&self) -> bool {
        let is_seen = self.is_wanted && self.started.elapsed() >= PATIENCE;
        if is_seen && self.line.is_hidden() {
            self.line.set_draw_target(ProgressDrawTarget::stderr());
        }
        is_seen
    }

    /// How many trials it will take for this width, going by the width so far: an interval gets
    /// narrower with the square root of the trials.
    fn foresee_trials(&self, trials: u64, width: f64) {
        if let Stop::Precision { width: wanted, max_trials } = self.stop {
            // A width that is reached already asks for no more trials than were run.
            let ratio = (width / wanted).max(1.0);
            #[expect(clippy::cast_sign_loss, reason = "a product of numbers above 0")]
            let needed = (trials as f64 * ratio * ratio) as u64;
            self.goal.store(needed.min(max_trials), Ordering::Relaxed);
        }
    }
}

impl Progress for TrialBar {
    fn trials_done(&self, trials: u64) {
        // A gate that cannot tell goes on beyond the trials that were asked for.
        let goal = self.goal.load(Ordering::Relaxed);
        self.line.set_length(if trials > goal { trials.next_power_of_two() } else { goal });
        self.line.set_position(trials);
    }

    fn counted(&self, tally: &Tally) {
        if self.is_seen() {
            let width = summary::widest_flow_interval(tally);
            self.foresee_trials(tally.trials, width);
            self.line.set_message(format!("widest interval {:.2}%", width * 100.0));
        }
    }

    fn is_cancelled(&self) -> bool {
        watchdog::early_end().is_some()
    }
}

fn bar_style() -> ProgressStyle {
    const TEMPLATE: &str =
        "simulating [{bar:24}] {human_pos}/{human_len} trials  {per_sec}  {eta} left  {msg}";
    ProgressStyle::with_template(TEMPLATE)
        .expect("the template is well-formed")
        .progress_chars("=> ")
}
