//! Hostile and broken input: a diagnostic, never a panic, never minutes.
