#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| blastwave_fuzz::targets::fuzz_condition(data));
