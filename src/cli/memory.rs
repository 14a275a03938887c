//! Memory: how much the program holds, and how much it may hold where nobody says.

use std::fs;

/// The most memory that is used where nobody says: enough for a million services.
const USUAL_MAX: u64 = 4_000_000_000;

/// Returns how many bytes of memory the program holds; `None` where the system does not tell.
pub(crate) fn held() -> Option<u64> {
    memory_stats::memory_stats().map(|held| held.physical_mem as u64)
}

/// Returns the limit where nobody says: three quarters of what the machine, or its container, has, and
/// never more than [`USUAL_MAX`].
pub(crate) fn usual_limit() -> u64 {
    let there = [machine_memory(), container_memory()].into_iter().flatten().min();
    // Divided first, so that the product cannot overflow.
    there.map_or(USUAL_MAX, |bytes| (bytes / 4 * 3).min(USUAL_MAX))
}

/// Returns the memory of the machine in bytes, where Linux tells.
fn machine_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// Returns the limit of the container in bytes, where there is one: control groups of version 2 or 1.
fn container_memory() -> Option<u64> {
    ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .into_iter()
        // Without a limit the file says `max`, which is no number.
        .filter_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok())
        .min()
}

/// Returns a number of bytes as people say it.
pub(crate) fn size_in_words(bytes: u64) -> String {
    match bytes {
        0..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_limit_is_below_what_the_machine_has() {
        let limit = usual_limit();
        assert!((1..=USUAL_MAX).contains(&limit));
        assert!(machine_memory().is_none_or(|bytes| limit < bytes));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn memory_that_is_filled_is_seen() {
        let before = held().expect("Linux tells");
        let filled = vec![1_u8; 64 << 20];
        let after = held().expect("Linux tells");
        assert!(after > before + (32 << 20), "{before} {after} {}", filled.len());
    }

    #[test]
    fn sizes_are_said_as_people_say_them() {
        assert_eq!(size_in_words(64_000_000), "64 MB");
        assert_eq!(size_in_words(1_500_000_000), "1.5 GB");
    }
}
