//! Notations of a rate.

use super::*;
use crate::work::pacer::CatchUp;

#[test]
fn rates_are_exact() {
    let pps = |text| {
        values::rate(text)
            .map(|rate| rate.in_packets(Layout::default(), &Sizes::one(0)).unwrap().pps())
    };
    assert_eq!(pps("3.5m"), Ok(3_500_000.0));
    assert_eq!(pps("1.000001M"), Ok(1_000_001.0));
    assert_eq!(pps("800k"), Ok(800_000.0));
    assert_eq!(pps("7"), Ok(7.0));
    assert_eq!(pps("1.2345k"), Ok(1234.5));
    for bad in [
        "",
        "k",
        "1.",
        "-1",
        "+1",
        "1e6",
        "1.0000000001",
        "1000000001",
        "2g",
        ".5m",
        "1..5",
        "1.5.5",
    ] {
        assert!(pps(bad).is_err(), "{bad}");
    }
}

#[test]
fn any_positive_rate_can_be_asked_for() {
    let rate =
        |text, len| values::rate(text).unwrap().in_packets(Layout::default(), &Sizes::one(len));
    let in_ns = |packets, period_ns| Rate::ratio(packets, period_ns);
    for (text, expected) in [
        ("0.5", in_ns(1, 2_000_000_000)),
        ("1.5pps", in_ns(3, 2_000_000_000)),
        ("0.001pps", in_ns(1, 1_000_000_000_000)),
        ("0.000000001", in_ns(1, 1_000_000_000_000_000_000)),
        ("999999999.999999999", in_ns(999_999_999_999_999_999, 1_000_000_000_000_000_000)),
        ("0.000001k", in_ns(1, 1_000_000_000_000)),
    ] {
        assert!(expected.is_some() && rate(text, 16) == expected, "{text}: {:?}", rate(text, 16));
    }
    // The shortest frame has 64 bytes, which are 512 bits.
    assert_eq!(rate("0.512kbps", 16), Rate::new(1, 1_000_000_000));
    assert_eq!(rate("0.001bps", 16), Rate::new(1, 512_000_000_000_000));
    assert_eq!(rate("0.123456789bps", 65_507).map(|rate| rate.pps() > 0.0), Some(true));
    assert_eq!(rate("0.0", 16), None);
}

#[test]
fn bytes_are_never_taken_for_bits() {
    for bytes in [
        "1GBps", "1gBps", "1Bps", "10GBPS", "1GB/s", "1GiBps", "1GBpsL1", "5MB", "1Mbyte/s", "0Bps",
    ] {
        let error = values::rate(bytes).unwrap_err();
        assert!(error.starts_with("B stands for bytes"), "{bytes}: {error}");
    }
    assert!(values::rate("2.5GBps").unwrap_err().contains("write 2.5Gbps for bits"));
    for other in ["1Gb", "1Gib", "1Gibps", "1kk", "1Kpps1", "1mbit", "1 Gbps"] {
        let error = values::rate(other).unwrap_err();
        assert!(error.starts_with("expected packets per second"), "{other}: {error}");
    }
    // The case of a prefix does not matter.
    for same in ["1gbps", "1Gbps", "1GbPS", "1000mbps", "1000000KBPSL2".to_lowercase().as_str()] {
        assert_eq!(
            values::rate(same).unwrap().in_packets(Layout::default(), &Sizes::one(1458)),
            values::rate("1Gbps").unwrap().in_packets(Layout::default(), &Sizes::one(1458)),
            "{same}"
        );
    }
}

/// 10 Gbit/s of the smallest frames is 14.88 Mpps on the wire.
#[test]
fn rates_in_bits_count_whole_frames() {
    let rate = |text, len| {
        values::rate(text).unwrap().in_packets(Layout::default(), &Sizes::one(len)).unwrap()
    };
    let pps = |text, len| rate(text, len).pps();
    assert_eq!(Some(rate("3.5Mpps", 16)), Rate::new(3_500_000, 1_000_000_000));
    assert_eq!(Some(rate("500kpps", 16)), Rate::new(500_000, 1_000_000_000));
    assert!((pps("10GbpsL1", 16) - 14_880_952.38).abs() < 0.01);
    assert!((pps("10Gbps", 16) - 19_531_250.0).abs() < 0.01);
    assert_eq!(rate("10Gbps", 1458), rate("10GbpsL2", 1458));
    assert!((pps("10gbps", 1458) - 10e9 / (8.0 * 1504.0)).abs() < 0.01);
    for bad in ["bps", "10Gbit", "99999Gbps"] {
        assert!(values::rate(bad).is_err(), "{bad}");
    }
}

/// The bits of a mix are those of a whole round, to the bit.
#[test]
fn rates_in_bits_of_a_mix_are_exact() {
    let sizes = "64:7,594:4,1518:1";
    let rate = |text: &str| run(&format!("{SENDRECV} --frame-size {sizes} --rate {text}")).rate();
    let round = 8 * (7 * 64 + 4 * 594 + 1518);
    assert_eq!(rate("1Gbps"), Rate::ratio(12_000_000_000, 1_000_000_000 * round));
    let on_the_wire = round + 8 * 20 * 12;
    assert_eq!(rate("1GbpsL1"), Rate::ratio(12_000_000_000, 1_000_000_000 * on_the_wire));
}

#[test]
fn a_rate_of_nothing_is_no_limit() {
    for rate in ["--rate 0", "--rate 0Gbps", "-R 0"] {
        assert_eq!(run(&format!("{SENDRECV} {rate}")).rate(), None, "{rate}");
        let error = error(&format!("{SENDRECV} {rate} --pattern poisson"));
        assert!(error.contains("need a rate"), "{error}");
    }
}

/// The line rate is known once the link is up.
#[test]
fn a_share_of_the_line_rate_is_one_of_layer_1() {
    let at = |line: &str, mbps| -> Result<_, String> {
        let mut config = run(&format!("{SENDRECV} {line}"));
        assert_eq!(config.awaits_line_rate(), line.contains('%'), "{line}");
        config.resolve_line_rate(mbps)?;
        assert!(!config.awaits_line_rate(), "{line}");
        Ok(config.rate().map(Rate::pps))
    };
    let bits = |len: f64, share: f64| Ok(Some(share * 10e9 / (8.0 * (42.0 + len + 4.0 + 20.0))));
    assert_eq!(at("--rate 80% --packet-size 100", Some(10_000)), bits(100.0, 0.8));
    assert_eq!(at("--rate 0.0025% --packet-size 1458", Some(10_000)), bits(1458.0, 0.000_025));
    assert_eq!(at("--rate 100%", Some(10_000)), at("--rate 10GbpsL1", None));
    // The shortest frame has 64 bytes.
    let same = at("--rate 50% --packet-size 18", Some(1000));
    assert_eq!(at("--rate 50% --packet-size 16", Some(1000)), same);
    assert_eq!(at("--rate 7", Some(10_000)), Ok(Some(7.0)));
    let refused = at("--rate 12.5%", None).unwrap_err();
    assert!(refused.starts_with("--rate 12.5%: the port's driver does not report"), "{refused}");
    assert!(refused.contains("such as 3.5Mpps or 10GbpsL1"), "{refused}");
    let refused = at("--rate 100% --packet-size 16", Some(400_000)).unwrap_err();
    assert!(refused.contains("can be accounted for"), "{refused}");
    assert_eq!(at("--rate 0.000001%", Some(100_000)), at("--rate 1kbpsL1", None));
    for bad in ["0%", "%", "100.0001%", "1.0000000001%", "-1%", "8k%"] {
        assert!(values::rate(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_pattern_needs_a_rate() {
    let pacing = |line: &str| run(&format!("{SENDRECV} {line}")).sendrecv.unwrap().pacing.unwrap();
    assert_eq!(pacing("--rate 1k").pattern, Pattern::Cbr);
    assert_eq!(pacing("--rate 1k --pattern poisson --seed 9").pattern, Pattern::Poisson(9));
    let bursts = pacing("-R 5 --pattern burst:32 --catch-up 64");
    assert_eq!((bursts.pattern, bursts.catch_up), (Pattern::Burst(32), CatchUp::Packets(64)));
    assert_eq!(pacing("--rate 1k").catch_up, CatchUp::default());
    assert_eq!(pacing("--rate 1k --catch-up 10ms").catch_up, CatchUp::Time(10_000_000));
    for bad in ["0", "0ms", "ms", "1s", "-1", "18446744073710ms"] {
        let error = error(&format!("{SENDRECV} --rate 1k --catch-up={bad}"));
        assert!(error.contains("such as 10ms"), "{error}");
    }
    for bad in ["burst", "burst:0", "burst:x", "even"] {
        let error = error(&format!("{SENDRECV} --rate 1k --pattern {bad}"));
        assert!(error.contains("cbr, poisson or burst:N"), "{error}");
    }
    assert!(error(&format!("{SENDRECV} --pattern poisson")).contains("need a rate"));
    assert_eq!(pacing("--rate 1k").tx_mode, TxMode::Burst);
    assert_eq!(pacing("--rate 1k --pacing spin").tx_mode, TxMode::Spin);
    assert_eq!(pacing("--rate 1k --pacing hw").tx_mode, TxMode::Hardware);
    assert!(error(&format!("{SENDRECV} --pacing spin")).contains("--pacing: they need a rate"));
    assert!(
        error(&format!("{SENDRECV} --rate 1k --pacing x")).contains("expected burst, spin or hw")
    );
}
