//! Reads the values of flags. What is wrong with one is said in words; clap adds the name of the flag.

pub(crate) use blastwave::model::units::{parse_duration, parse_share};
use blastwave::model::{Seconds, Share};

/// The most trials of one run: at a million trials per second, a quarter of an hour.
const TRIALS_MAX: u64 = 1_000_000_000;
/// More threads than this are a slip.
const THREADS_MAX: usize = 1024;
/// Less does not hold the program itself; more is a slip.
const MEMORY: std::ops::RangeInclusive<f64> = 64e6..=1e12;
/// Narrower text cannot hold a name beside its figures.
const WIDTH: std::ops::RangeInclusive<usize> = 60..=1000;

/// A figure of one flow that must not be exceeded: `FLOW=SHARE` or `FLOW=ORDERS`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FlowLimit {
    /// As written, to be shown in messages.
    pub(crate) text: String,
    /// The name of the flow.
    pub(crate) flow: String,
    /// At most this.
    pub(crate) at_most: f64,
}

/// Outage that is already spent of the error budget of one flow: `FLOW=DURATION`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FlowSpent {
    /// As written, to be shown in messages.
    pub(crate) text: String,
    /// The name of the flow.
    pub(crate) flow: String,
    /// How much.
    pub(crate) outage: Seconds,
}

/// `100000`, `100_000`, `100k`, `1M`.
pub(crate) fn parse_trials(text: &str) -> Result<u64, String> {
    let wrong = || "not a number of trials; write for example `20000`, `20k` or `1M`".to_owned();
    let (number, unit) = match text.strip_suffix(['k', 'K', 'M']) {
        Some(number) if text.ends_with('M') => (number, 1_000_000),
        Some(number) => (number, 1_000),
        None => (text, 1),
    };
    // People group digits by either.
    let number: u64 = number.replace(['_', ','], "").parse().map_err(|_| wrong())?;
    match number.checked_mul(unit) {
        Some(0) => Err("at least one trial is needed".to_owned()),
        Some(trials) if trials <= TRIALS_MAX => Ok(trials),
        _ => Err("at most 1,000,000,000 trials can be run".to_owned()),
    }
}

/// `1%`, `0.01`: above 0.
pub(crate) fn parse_precision(text: &str) -> Result<Share, String> {
    let share = parse_share(text)?;
    if share.is_zero() {
        return Err("an interval always has some width; write for example `1%`".to_owned());
    }
    Ok(share)
}

/// `1` to [`THREADS_MAX`].
pub(crate) fn parse_threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(threads) if (1..=THREADS_MAX).contains(&threads) => Ok(threads),
        _ => Err(format!("not a number of threads from 1 to {THREADS_MAX}")),
    }
}

/// Columns of text.
pub(crate) fn parse_width(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(width) if WIDTH.contains(&width) => Ok(width),
        _ => Err(format!("not a number of columns from {} to {}", WIDTH.start(), WIDTH.end())),
    }
}

/// `30s`, `10m`: above 0.
pub(crate) fn parse_timeout(text: &str) -> Result<Seconds, String> {
    match parse_duration(text)? {
        Seconds::ZERO => Err("nothing can be done in no time; write for example `30s`".to_owned()),
        timeout => Ok(timeout),
    }
}

/// `512MB`, `1.5GB`, `2GiB`, in bytes.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a size; write for example `512MB` or `2GB`");
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let unit = match unit.trim_start() {
        // A bare number may be meant as bytes or as megabytes.
        "" => return Err(format!("`{text}` has no unit; write `{text}MB` or `{text}GB`")),
        "kB" | "KB" => 1e3,
        "MB" | "M" => 1e6,
        "GB" | "G" => 1e9,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        _ => return Err(wrong()),
    };
    let bytes = number * unit;
    if !MEMORY.contains(&bytes) {
        return Err(format!("`{text}` is not between 64 MB and 1,000 GB"));
    }
    #[expect(clippy::cast_sign_loss, reason = "within a range above 0")]
    let bytes = bytes as u64;
    Ok(bytes)
}

/// `place-order=5%`.
pub(crate) fn max_failed(text: &str) -> Result<FlowLimit, String> {
    let (flow, value) = flow_and_value(text, "place-order=5%")?;
    // A bare 1 may be meant as 1% or as 100%.
    if !value.ends_with('%') && value.parse() == Ok(1.0) {
        return Err(format!("`{value}` may mean 1% or 100%; write `{flow}=1%` or `{flow}=100%`"));
    }
    Ok(parse_limit(text, flow, parse_share(value)?.get()))
}

/// `place-order=12m`.
pub(crate) fn parse_spent(text: &str) -> Result<FlowSpent, String> {
    let (flow, value) = flow_and_value(text, "place-order=12m")?;
    let outage = parse_duration(value)?;
    Ok(FlowSpent { text: text.to_owned(), flow: flow.to_owned(), outage })
}

/// `place-order=2000`.
pub(crate) fn max_lost(text: &str) -> Result<FlowLimit, String> {
    let (flow, value) = flow_and_value(text, "place-order=2000")?;
    let orders: Result<f64, _> = value.replace(['_', ','], "").parse();
    match orders {
        Ok(orders) if orders.is_finite() && orders >= 0.0 => Ok(parse_limit(text, flow, orders)),
        _ => Err(format!("`{value}` is not a number of orders, 0 or more")),
    }
}

/// The last `=` divides: names may hold others.
fn flow_and_value<'a>(text: &'a str, example: &str) -> Result<(&'a str, &'a str), String> {
    match text.rsplit_once('=') {
        Some((flow, value)) if !flow.trim().is_empty() => Ok((flow.trim(), value.trim())),
        _ => Err(format!("not a flow and its limit; write for example `{example}`")),
    }
}

fn parse_limit(text: &str, flow: &str, at_most: f64) -> FlowLimit {
    FlowLimit { text: text.to_owned(), flow: flow.to_owned(), at_most }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trials_are_written_as_people_write_large_numbers() {
        for (text, trials_read) in
            [("1", 1), ("20000", 20_000), ("20_000", 20_000), ("20k", 20_000), ("2M", 2_000_000)]
        {
            assert_eq!(parse_trials(text), Ok(trials_read), "{text}");
        }
        for wrong in ["", "k", "0", "-1", "1.5", "1e6", "many", "2000M", "18446744073709551615k"] {
            assert!(parse_trials(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn limits_name_a_flow_and_a_figure() {
        let read = max_failed("a=b = 5%").unwrap();
        assert_eq!((read.flow.as_str(), read.at_most), ("a=b", 0.05));
        assert_eq!(max_lost("place-order=2,000").map(|limit| limit.at_most), Ok(2000.0));
        for wrong in ["", "place-order", "=5%", "place-order=", "place-order=500%", "place-order=x"]
        {
            assert!(max_failed(wrong).is_err(), "{wrong}");
        }
        for ambiguous in ["pay=1", "pay=1.0", "pay = 1"] {
            assert!(max_failed(ambiguous).is_err_and(|said| said.contains("100%")), "{ambiguous}");
        }
        assert_eq!(parse_spent("pay=12m").map(|spent| spent.outage.get()), Ok(720.0));
        for wrong in ["pay=-1m", "pay=12", "pay", "=1m"] {
            assert!(parse_spent(wrong).is_err(), "{wrong}");
        }
        for wrong in ["place-order=-1", "place-order=inf", "place-order=NaN", "place-order=5%"] {
            assert!(max_lost(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_and_time_limits_have_units_and_bounds() {
        assert_eq!(parse_size("64MB"), Ok(64_000_000));
        assert_eq!(parse_size("1.5 GB"), Ok(1_500_000_000));
        assert_eq!(parse_size("2GiB"), Ok(2 << 30));
        for wrong in ["", "GB", "1e3MB", "1..5GB", "-1GB", "10MB", "2TB", "99999999999GB", "inf"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
        assert!(parse_size("512").is_err_and(|said| said.contains("512MB")));
        assert_eq!(parse_timeout("1m").map(Seconds::get), Ok(60.0));
        for wrong in ["0", "0s", "-1s", "10", "soon"] {
            assert!(parse_timeout(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn widths_threads_and_precisions_have_bounds() {
        assert_eq!(parse_width("60"), Ok(60));
        assert!(parse_width("59").is_err() && parse_width("wide").is_err());
        assert_eq!(parse_threads("8"), Ok(8));
        assert!(parse_threads("0").is_err() && parse_threads("1025").is_err());
        assert!(parse_precision("0%").is_err() && parse_precision("101%").is_err());
        assert_eq!(parse_precision("0.5%").map(Share::get), Ok(0.005));
    }
}
