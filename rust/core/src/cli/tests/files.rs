use super::*;

#[test]
fn metrics_are_for_this_host_unless_an_address_is_given() {
    let metrics = |value: &str| run(&format!("rxonly --metrics {value}")).metrics;
    assert_eq!(run("rxonly").metrics, None);
    for (value, expected) in [
        ("9400", "127.0.0.1:9400"),
        (":9400", "127.0.0.1:9400"),
        ("10.0.0.4:9400", "10.0.0.4:9400"),
        ("0.0.0.0:9400", "0.0.0.0:9400"),
        ("[::1]:9400", "[::1]:9400"),
    ] {
        assert_eq!(metrics(value), Some(expected.parse().unwrap()), "{value}");
    }
    for value in ["", "65536", "10.0.0.4", "::1:9400", "localhost:9400", "::"] {
        let error = error(&format!("rxonly --metrics={value}"));
        assert!(error.contains("expected a TCP port of this host, such as 9400"), "{error}");
    }
}

#[test]
fn a_histogram_log_is_for_modes_with_latencies() {
    assert_eq!(run(&format!("{SENDRECV} --hlog f")).hlog_path, Some("f".into()));
    for mode in ["reflect", "rxonly", "forward"] {
        let expected = format!(
            "--hlog: {mode} measures no latencies; give it to a mode that does, or leave it out"
        );
        assert_eq!(error(&format!("{mode} --hlog f")), expected);
    }
    assert!(error(&format!("{SENDRECV} --trials --hlog f")).starts_with("--trials: "));
}

#[test]
fn a_capture_file_is_for_modes_that_reject_packets() {
    for line in [SENDRECV, "reflect"] {
        let capture = |options: &str| {
            let config = run(&format!("{line} {options}"));
            (config.pcap_path, config.pcap_packets)
        };
        assert_eq!(capture(""), (None, 1000));
        assert_eq!(capture("--pcap f"), (Some("f".into()), 1000));
        let before = run(&format!("--pcap f {line} --pcap-packets 7"));
        assert_eq!((before.pcap_path, before.pcap_packets), (Some("f".into()), 7));
        assert_eq!(
            error(&format!("{line} --pcap-packets 7")),
            "--pcap-packets: without a file there is nothing to keep; give --pcap FILE"
        );
        assert_eq!(
            error(&format!("{line} -r 4 --pcap f --pcap-packets 16385")),
            "--pcap-packets 16385: each of 4 rx queue(s) may need room for that many packets of 16 KiB, and the limit \
             is 1024 MiB in all; lower it to 16384 or give fewer queues (-r)"
        );
        assert_eq!(run(&format!("{line} -r 4 --pcap f --pcap-packets 16384")).pcap_packets, 16384);
    }
    for mode in ["rxonly", "forward"] {
        let error = error(&format!("{mode} --pcap f"));
        let start =
            format!("--pcap: {mode} verifies no packets, so none is corrupt, foreign or late; ");
        assert!(error.starts_with(&start), "{error}");
    }
    assert!(error(&format!("{SENDRECV} --trials --pcap f")).starts_with("--trials: "));
}
