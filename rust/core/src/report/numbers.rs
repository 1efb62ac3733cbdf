//! Formats numbers for people.

pub(crate) fn pps(rate: f64) -> String {
    match rate {
        rate if rate >= 1e6 => format!("{:.3} Mpps", rate / 1e6),
        rate if rate >= 1e3 => format!("{:.3} kpps", rate / 1e3),
        rate if rate >= 10.0 || rate == 0.0 => format!("{rate:.1} pps"),
        rate if rate >= 0.001 => format!("{rate:.3} pps"),
        rate => format!("{rate:.3e} pps"),
    }
}

/// Three decimal places, or as many as needed to distinguish a very small share from 0 %, and a
/// very large one from 100 %.
pub(crate) fn percent(ratio: f64) -> String {
    let percent = ratio * 100.0;
    let apart = percent.min(100.0 - percent);
    let mut places = 3;
    // At least two significant digits of the distance, such as 0.0084.
    while apart > 0.0 && places < 14 && apart * 10_f64.powi(places) < 9.95 {
        places += 1;
    }
    format!("{percent:.*} %", usize::try_from(places).unwrap_or(3))
}

pub(crate) fn time(ns: f64) -> String {
    match ns {
        ns if ns >= 1e9 => format!("{:.3} s", ns / 1e9),
        ns if ns >= 1e6 => format!("{:.2} ms", ns / 1e6),
        ns if ns >= 1e3 => format!("{:.2} us", ns / 1e3),
        ns => format!("{ns:.0} ns"),
    }
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_legible() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000_000), "1,000,000");
        assert_eq!(percent(0.0), "0.000 %");
        assert_eq!(percent(1.0), "100.000 %");
        assert_eq!(percent(0.003), "0.300 %");
        assert_eq!(percent(0.000_1), "0.010 %");
        assert_eq!(percent(8.4e-5), "0.0084 %");
        assert_eq!(percent(1e-9), "0.00000010 %");
        assert_eq!(percent(1.0 - 1e-9), "99.99999990 %");
        assert_eq!(percent(0.999_94), "99.9940 %");
        assert_eq!(pps(3_500_000.0), "3.500 Mpps");
        assert_eq!(
            [12.34, 1.25, 0.001, 1e-9].map(pps),
            ["12.3 pps", "1.250 pps", "0.001 pps", "1.000e-9 pps"]
        );
        assert_eq!(time(1.5e9), "1.500 s");
    }
}
