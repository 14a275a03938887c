//! Digits in groups of three, as people read large numbers.

/// Separates the thousands of a whole number in decimal digits, which may have a sign: `-1,234,567`.
pub(crate) fn group_digits(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |rest| ("-", rest));
    let mut text = sign.to_owned();
    for (index, digit) in digits.char_indices() {
        // Groups are counted from the end, and none begins with a comma.
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
