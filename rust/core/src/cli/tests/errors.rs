use super::*;

#[test]
fn a_bad_value_is_one_line_with_option_value_and_what_is_allowed() {
    for (line, parts) in [
        ("", ["no mode given", "sendrecv, reflect, rxonly"]),
        ("-r 3", ["no mode given", "sendrecv, reflect, rxonly"]),
        ("sendrecive", ["unknown mode 'sendrecive'", "sendrecv, reflect, rxonly"]),
        ("reflect --frob", ["--frob", "unexpected"]),
        ("reflect -p 0:1:2:3:4", ["'0:1:2:3:4' for '--port <PORT>'", "six hexadecimal bytes"]),
        ("reflect -r 0", ["'0' for '--rx-queues <N>'", "1..=1023"]),
        ("reflect --burst-size 513", ["'513' for '--burst-size", "1..=512"]),
        ("reflect --rx-burst 0", ["'0' for '--rx-burst <N>'", "1..=512"]),
        ("reflect --tx-burst 513", ["'513' for '--tx-burst <N>'", "1..=512"]),
        ("reflect --stats-interval-ms 0", ["'0' for '--stats-interval-ms", "1..=60000"]),
        ("reflect --duration -1", ["'-1' for '--duration <SECS>'", "seconds above 0"]),
        ("reflect --duration x", ["'x' for '--duration <SECS>'", "seconds above 0"]),
        ("reflect --count 0", ["'0' for '--count <PACKETS>'", "1..=281474976710656"]),
        ("sendrecv", ["--src <IP[/PREFIX]>", "--dest <IP:PORT>"]),
        ("{} --src 1.2.3.4", ["--src is given 2 times, and -p 0 times", "give --src once"]),
        ("{} --src 1.2.3", ["'1.2.3' for '--src", "expected an IP address"]),
        ("{} --packet-size 15", ["'15' for '--packet-size <BYTES>'", "expected 16"]),
        ("{} --packet-size 65508", ["'65508' for '--packet-size", "to 65507 bytes"]),
        ("{} --src-port-range 5", ["'5' for '--src-port-range", "FIRST-LAST"]),
        ("{} --src-port-range 9-5", ["'9-5' for '--src-port-range", "FIRST <= LAST"]),
        ("{} --src-port-range 1-65536", ["'1-65536' for '--src-port-range", "65535"]),
        ("{} --rate 2g", ["'2g' for '--rate <RATE>'", "10GbpsL1"]),
        ("{} --rate 1GBps", ["'1GBps' for '--rate <RATE>'", "write 1Gbps for bits"]),
        ("{} -R 1000000001", ["-R 1000000001", "at most 1000000000"]),
        (
            "{} --rate 10m --stats-interval-ms 60000",
            ["--stats-interval-ms 60000", "packets per second"],
        ),
        (
            "reflect --stats-interval-ms 1 --stats-evict-threshold-secs 600 -r 16",
            ["--stats-evict-threshold-secs 600", "raise --stats-interval-ms"],
        ),
        ("{} -R 5 --rate 5", ["--rate-per-interval", "cannot be used with"]),
        (
            "sendrecv --src 1.2.3 --dest 1.2.3.4:5 --dest-mac 2:0:0:0:0:0",
            ["'1.2.3' for '--src", "2001:db8::4"],
        ),
        (
            "sendrecv --src 1.2.3.4 --dest 1.2.3.4 --dest-mac 2:0:0:0:0:0",
            ["'1.2.3.4' for '--dest", "10.0.0.5:10000"],
        ),
        (
            "sendrecv --src 1.2.3.4 --dest 1.2.3.4:0 --dest-mac 2:0:0:0:0:0",
            ["'1.2.3.4:0' for '--dest", "1 to 65535"],
        ),
        (
            "sendrecv --src 1.2.3.4 --dest 1.2.3.4:1 --dest-mac 2:0",
            ["'2:0' for '--dest-mac", "hexadecimal"],
        ),
        (
            "sendrecv --src 224.0.0.1 --dest 1.2.3.4:1 --dest-mac 2:0:0:0:0:1",
            ["'224.0.0.1' for '--src", "a multicast address: expected that of one host"],
        ),
        (
            "sendrecv --src 0.0.0.0 --dest 1.2.3.4:1 --dest-mac 2:0:0:0:0:1",
            ["'0.0.0.0' for '--src", "no host's address"],
        ),
        (
            "sendrecv --src 127.0.0.1 --dest 1.2.3.4:1 --dest-mac 2:0:0:0:0:1",
            ["'127.0.0.1' for '--src", "loopback"],
        ),
        (
            "sendrecv --src 255.255.255.255 --dest 1.2.3.4:1 --dest-mac 2:0:0:0:0:1",
            ["'255.255.255.255' for '--src", "the broadcast address"],
        ),
        (
            "sendrecv --src 1.2.3.4 --dest 239.1.1.1:7 --dest-mac 2:0:0:0:0:1",
            ["'239.1.1.1:7' for '--dest", "a multicast address"],
        ),
        (
            "sendrecv --src 1.2.3.4 --dest 0.0.0.0:7 --dest-mac 2:0:0:0:0:1",
            ["'0.0.0.0:7' for '--dest", "no host's address"],
        ),
        (
            "sendrecv --src 1.2.3.4 --dest 127.0.0.1:7 --dest-mac 2:0:0:0:0:1",
            ["'127.0.0.1:7' for '--dest", "loopback"],
        ),
        (
            "sendrecv --src 1.2.3.4 --dest 1.2.3.5:7 --dest-mac 0:0:0:0:0:0",
            [
                "'0:0:0:0:0:0' for '--dest-mac",
                "no port's address: expected that of the peer's port",
            ],
        ),
        (
            "sendrecv --src 1.2.3.4 --dest 1.2.3.5:7 --dest-mac 01:00:5e:00:00:01",
            ["'01:00:5e:00:00:01' for '--dest-mac", "a multicast address"],
        ),
        (
            "sendrecv --src 1.2.3.4 --dest 1.2.3.5:7 --dest-mac ff:ff:ff:ff:ff:ff",
            ["for '--dest-mac", "the broadcast address"],
        ),
    ] {
        let error = error(&line.replace("{}", SENDRECV));
        for part in parts {
            assert!(error.contains(part), "{line}: {error}");
        }
        assert!(!error.contains('\n') && !error.contains("Usage"), "{line}: {error}");
    }
}
