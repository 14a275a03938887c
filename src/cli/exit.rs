//! How the program ends.

use std::process::ExitCode;

/// An exit status with one meaning, the same for every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done; for `check`: proceed.
    Done = 0,
    /// `check`: stop. `validate`: there are problems. `replay`: a score is below its limit.
    Stop = 1,
    /// Bad usage, or input that cannot be used: nothing was simulated, nothing was written.
    Unusable = 2,
    /// `check`: caution, a person must look. `import --strict`: no dependency is known.
    Caution = 3,
    /// Ended early, by Ctrl-C, `--timeout` or `--max-memory`; what was simulated so far was reported only
    /// with `--partial`.
    Interrupted = 130,
}

impl Exit {
    const ALL: [Self; 5] =
        [Self::Done, Self::Stop, Self::Unusable, Self::Caution, Self::Interrupted];

    fn meaning(self) -> &'static str {
        match self {
            Self::Done => "Done; `check`: proceed",
            Self::Stop => "`check`: stop; `validate`: there are problems; `replay`: below a limit",
            Self::Unusable => {
                "Bad usage, unreadable or invalid input: nothing was simulated or written"
            }
            Self::Caution => "`check`: caution, a person must look (0 with `--fail-on stop`)",
            Self::Interrupted => {
                "Interrupted, out of time or out of memory: nothing was written without `--partial`"
            }
        }
    }

    /// The statuses and what they mean, as they stand in the help.
    pub(crate) fn table() -> String {
        let rows = Self::ALL.map(|exit| format!("{:>5}  {}", exit as u8, exit.meaning()));
        format!("Exit status:\n{}", rows.join("\n"))
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
