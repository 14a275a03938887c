//! Files that keep what the program says: tests compare them, and `UPDATE=1 cargo test` writes them anew.

use std::fs;
use std::path::{Path, PathBuf};

/// Longer texts are shown around the first line that differs.
const LINES_SHOWN: usize = 60;

/// Comparison of texts with the files that keep them.
#[derive(Default)]
pub(crate) struct KeptFiles {
    wrong: Vec<String>,
}

impl KeptFiles {
    /// Compares a text with its file, or writes the file; a text that is empty has none.
    pub(crate) fn compare(&mut self, path: &Path, text: &str) {
        let kept = fs::read_to_string(path).unwrap_or_default();
        if kept == text {
            return;
        }
        match (is_update(), text.is_empty()) {
            (true, true) => fs::remove_file(path).expect("the file can be removed"),
            (true, false) => fs::write(path, text).expect("the file can be written"),
            (false, _) => self.wrong.push(difference(path, &kept, text)),
        }
    }

    /// Fails if a text was not what its file keeps.
    pub(crate) fn assert_current(self) {
        let wrong = self.wrong.join("\n\n");
        assert!(wrong.is_empty(), "{wrong}\n\n`UPDATE=1` writes it: read the difference");
    }
}

/// Fails if a text is not what its file keeps.
pub(crate) fn assert_kept(path: &Path, text: &str) {
    let mut kept = KeptFiles::default();
    kept.compare(path, text);
    kept.assert_current();
}

/// Returns the path of a file in `tests/it/kept`.
pub(crate) fn kept_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/kept").join(name)
}

/// Returns whether files are to be written instead of compared.
pub(crate) fn is_update() -> bool {
    std::env::var_os("UPDATE").is_some()
}

fn difference(path: &Path, kept: &str, now: &str) -> String {
    let first = kept.lines().zip(now.lines()).position(|(kept, now)| kept != now);
    let first = first.unwrap_or_else(|| kept.lines().count().min(now.lines().count()));
    let from = if kept.lines().count().max(now.lines().count()) <= LINES_SHOWN {
        0
    } else {
        first.saturating_sub(2)
    };
    let part = |text: &str| -> String {
        text.lines().skip(from).take(LINES_SHOWN).map(|line| format!("{line}\n")).collect()
    };
    format!(
        "{} is not true from line {} on: it says\n{}\nand this is so:\n{}",
        path.display(),
        first + 1,
        part(kept),
        part(now)
    )
}
