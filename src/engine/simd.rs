//! The widest vector instructions of the machine: the only place with `unsafe` code.
//!
//! Whatever runs under [`widest`] gives the same bits on every machine: vector units round like
//! scalar ones, and the compiler neither reorders nor fuses floating-point operations.
#![expect(unsafe_code, reason = "a processor's features are known only at run time")]

/// Runs `work` compiled for the widest vector instructions that this machine has.
///
/// Only what is inlined into `work` profits.
#[inline]
pub(crate) fn widest<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
        {
            // SAFETY: the features that the function is compiled for were just found.
            return unsafe { with_avx512(work) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the feature that the function is compiled for was just found.
            return unsafe { with_avx2(work) };
        }
    }
    work()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
fn with_avx512<R>(work: impl FnOnce() -> R) -> R {
    work()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn with_avx2<R>(work: impl FnOnce() -> R) -> R {
    work()
}
