//! The program's CSV and JSON.

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// The final summary.
pub struct Summary(Value);

impl Summary {
    /// The summary in the file at `path`.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path);
        Self::parse(&text.unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }

    /// The summary in `text`: one JSON object and nothing else.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let summary =
            Self(serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in\n{text}")));
        summary.assert_as_described();
        summary
    }

    /// Fails the test unless `data/summary.schema.json` describes it.
    fn assert_as_described(&self) {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/summary.schema.json");
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let schema: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{path}: {e}"));
        let validator =
            jsonschema::validator_for(&schema).unwrap_or_else(|error| panic!("{path}: {error}"));
        let errors: Vec<_> = validator.iter_errors(&self.0).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?} in {self}");
    }

    /// The value of a key such as `rx.valid`.
    #[must_use]
    pub fn value(&self, key: &str) -> &Value {
        let value = self.0.pointer(&format!("/{}", key.replace('.', "/")));
        value.unwrap_or_else(|| panic!("no key '{key}' in {self}"))
    }

    /// The count at a key such as `rx.valid`.
    #[must_use]
    pub fn count(&self, key: &str) -> u64 {
        self.value(key).as_u64().unwrap_or_else(|| panic!("'{key}' is not a count in {self}"))
    }

    /// The number at a key such as `loss_ratio`.
    #[must_use]
    pub fn number(&self, key: &str) -> f64 {
        self.value(key).as_f64().unwrap_or_else(|| panic!("'{key}' is not a number in {self}"))
    }

    /// Whether it says that every packet is accounted for and its own numbers agree.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        self.value("ledger_balanced") == true && self.adds_up()
    }

    fn adds_up(&self) -> bool {
        let sum = |keys: &[&str]| keys.iter().map(|key| self.count(key)).sum::<u64>();
        match self.value("meaning").as_str() {
            Some("measures") => {}
            Some("forwards") => {
                let refused = "tx.not_sent_reasons.tx_queue_full";
                return self.count("rx.received") == sum(&["tx.sent", refused, "rx.dropped"]);
            }
            _ => return true,
        }
        let parts = ["forward", "reflector_nic", "reflector", "return", "nic", "corrupt", "late"];
        let place = |part: &str| self.value(&format!("lost.{part}")).as_u64().unwrap_or(0);
        let places = parts.iter().map(|part| place(part)).sum::<u64>() + self.count("lost.unknown");
        let received = ["rx.valid", "rx.duplicate", "rx.corrupt", "rx.foreign", "rx.late"];
        self.count("tx.due") == sum(&["tx.sent", "tx.not_sent"])
            && self.count("tx.sent") == sum(&["rx.valid", "lost.total"])
            && self.count("lost.total") == places
            && self.count("rx.received") == sum(&received)
    }

    /// Fails the test unless the counts at these keys are as given.
    pub fn assert_counts(&self, expected: &[(&str, u64)]) {
        for (key, count) in expected {
            assert_eq!(self.count(key), *count, "{key} in {self}");
        }
    }

    /// Fails the test unless these are all counts of packets in the ledger that are not 0: under `tx`,
    /// `rx`, `lost`, `reorder` and `reflector`. Left out are those that depend on the host (`tx.sent_late`,
    /// `tx.waited`, `reflector.busiest`) and frames of the control thread.
    pub fn assert_ledger(&self, expected: &[(&str, u64)]) {
        let mut found = BTreeMap::new();
        for part in ["tx", "rx", "lost", "reorder", "reflector"] {
            if let Some(value) = self.0.get(part) {
                collect_counts(part, value, &mut found);
            }
        }
        for key in ["tx.sent_late", "tx.waited", "tx.control", "rx.control"] {
            found.remove(key);
        }
        found.retain(|key, _| !key.starts_with("reflector.busiest."));
        let expected: BTreeMap<_, _> =
            expected.iter().map(|(key, count)| ((*key).to_string(), *count)).collect();
        assert_eq!(found, expected, "{self}");
    }

    /// Fails the test unless `count` packets were sent, all of them came back intact and once, and
    /// nothing else arrived.
    pub fn assert_lossless(&self, count: u64) {
        self.assert_counts(&[
            ("tx.sent", count),
            ("rx.received", count),
            ("rx.valid", count),
            ("lost.total", 0),
        ]);
        assert_eq!(self.value("loss_ratio"), 0.0, "{self}");
    }

    /// The packets for which its port says it had no room.
    #[must_use]
    pub fn port_missed(&self) -> u64 {
        self.count("port.imissed") + self.count("port.rx_nombuf")
    }

    /// For a sender: fails the test unless it reports what the reflector did because of `--impair
    /// {impair}`, and nothing else was lost except packets for which one of the two ports says it
    /// had no room.
    pub fn assert_knows(&self, impair: &str, reflected: &Self) {
        let did = |what: &str| reflected.count(&format!("impaired.{what}"));
        let refused = reflected.count("tx.not_sent_reasons.tx_queue_full");
        let [dropped, corrupted] = [did("dropped"), did("corrupted")];
        let missed = [self, reflected].map(Self::port_missed);
        if missed != [0, 0] {
            println!("{impair}: on a busy machine, the ports had no room for {missed:?}");
        }
        let mut expected = vec![
            ("rx.late", 0),
            ("rx.foreign", 0),
            ("lost.reflector", dropped + refused),
            ("lost.forward", 0),
            ("lost.return", 0),
            ("reflector.dropped", dropped),
        ];
        if missed == [0, 0] {
            expected.extend([
                ("reflector.received", self.count("tx.sent")),
                ("rx.received", reflected.count("tx.sent")),
                ("rx.duplicate", did("duplicated")),
                ("rx.corrupt", corrupted),
                ("reorder.reordered", did("reordered")),
                ("lost.total", dropped + refused + corrupted),
                ("lost.corrupt", corrupted),
                ("lost.unknown", 0),
            ]);
        }
        let found: Vec<_> = expected.iter().map(|(key, _)| (*key, self.count(key))).collect();
        assert_eq!(found, expected, "{impair}: {self}{reflected}");
        let gone = [
            reflected.count("tx.sent") - self.count("rx.received"),
            self.count("tx.sent") - self.count("reflector.received"),
        ];
        assert!(gone[0] <= missed[0] && gone[1] <= missed[1], "{impair}: {self}{reflected}");
        assert_eq!(did("delayed") > 0, impair.contains("delay"), "{impair}: {reflected}");
        assert_eq!(refused, reflected.count("lost.total"));
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{:#}", self.0)
    }
}

/// All integers at and below `value` that are not 0, by their keys.
fn collect_counts(key: &str, value: &Value, found: &mut BTreeMap<String, u64>) {
    if let Some(object) = value.as_object() {
        for (name, value) in object {
            collect_counts(&format!("{key}.{name}"), value, found);
        }
    } else if let Some(count @ 1..) = value.as_u64() {
        found.insert(key.into(), count);
    }
}

/// The documented columns; others may follow.
const COLUMNS: [&str; 21] = [
    "time_ms",
    "tx_packets",
    "rx_packets",
    "lost_packets",
    "loss_ratio",
    "latency_avg_ns",
    "latency_min_ns",
    "latency_max_ns",
    "latency_p50_ns",
    "latency_p99_ns",
    "latency_p999_ns",
    "due_packets",
    "not_sent_packets",
    "duplicate_packets",
    "corrupt_packets",
    "foreign_packets",
    "late_packets",
    "reordered_packets",
    "dropped_packets",
    "sent_late_packets",
    "events",
];

/// The index of `due_packets`; `not_sent_packets` follows it.
const DUE: usize = 11;

/// One row, that is, one interval; `None` is an empty cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// Start of the interval, in ms since the start of the run.
    pub time_ms: u64,
    /// Packets sent in the interval.
    pub tx: u64,
    /// Those of them that came back (sendrecv), or packets received in the interval.
    pub rx: u64,
    /// Those of them that did not.
    pub lost: Option<u64>,
    /// The loss ratio.
    pub loss_ratio: Option<f64>,
    /// Mean, minimum and maximum round-trip time.
    pub latency_ns: Option<[u64; 3]>,
    /// Packets dropped by a mode that forwards.
    pub dropped: Option<u64>,
    /// Packets due in the interval, and those of them that were never sent (sendrecv).
    pub due: Option<[u64; 2]>,
}

impl Row {
    fn check(&self, ours: bool) {
        if let Some([mean, least, greatest]) = self.latency_ns {
            assert!(least <= mean && mean <= greatest, "{self:?}");
        }
        if ours {
            let lost = self.tx - self.rx;
            assert_eq!(self.lost, Some(lost), "{self:?}");
            #[expect(clippy::cast_precision_loss, reason = "the packets of one interval")]
            let ratio = (self.tx > 0).then(|| lost as f64 / self.tx as f64);
            let digits = |ratio: Option<f64>| ratio.map(|ratio| format!("{ratio:.9}"));
            assert_eq!(digits(self.loss_ratio), digits(ratio), "{self:?}");
            assert_eq!(self.latency_ns.is_some(), self.rx > 0, "{self:?}");
        }
    }
}

/// All rows of a run.
#[derive(Clone, Debug)]
pub struct Table {
    /// The rows in order of time.
    pub rows: Vec<Row>,
    /// What happened to ports, with the start of the interval in ms.
    pub events: Vec<(u64, String)>,
    /// The columns of the mode's own counters, which follow the documented ones: name and cells.
    pub own: Vec<(String, Vec<u64>)>,
}

impl Table {
    /// The rows in `text`, which must be CSV with the documented header and end with a complete
    /// line.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line is not whole: {text}");
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let header = reader.headers().unwrap_or_else(|error| panic!("{error} in {text}"));
        assert_eq!(header.iter().take(COLUMNS.len()).collect::<Vec<_>>(), COLUMNS);
        let names: Vec<_> = header.iter().skip(COLUMNS.len()).map(String::from).collect();
        let mut own: Vec<_> = names.into_iter().map(|name| (name, Vec::new())).collect();
        let (mut rows, mut events) = (Vec::new(), Vec::new());
        for record in reader.records() {
            let record = record.unwrap_or_else(|error| panic!("{error} in {text}"));
            let row = row(&record);
            let happened = record[COLUMNS.len() - 1].split(';').filter(|event| !event.is_empty());
            events.extend(happened.map(|event| (row.time_ms, event.to_string())));
            rows.push(row);
            for ((_, cells), cell) in own.iter_mut().zip(record.iter().skip(COLUMNS.len())) {
                cells.push(cell.parse().unwrap_or_else(|error| panic!("{error} in {text}")));
            }
        }
        assert!(rows.is_sorted_by(|a, b| a.time_ms < b.time_ms), "{rows:?}");
        Self { rows, events, own }
    }

    /// The sum of one column.
    #[must_use]
    pub fn sum(&self, column: impl Fn(&Row) -> u64) -> u64 {
        self.rows.iter().map(column).sum()
    }

    /// Fails the test unless the rows add up to `summary` and each row is consistent.
    pub fn assert_adds_up_to(&self, summary: &Summary) {
        let ours = summary.value("meaning") == "measures";
        self.rows.iter().for_each(|row| row.check(ours));
        let rx = if ours { "rx.valid" } else { "rx.received" };
        if ours {
            self.assert_due(summary);
        }
        let sums = [self.sum(|row| row.tx), self.sum(|row| row.rx)];
        assert_eq!(sums, [summary.count("tx.sent"), summary.count(rx)], "{summary}");
        let lost = self.rows.iter().filter_map(|row| row.lost).sum::<u64>();
        assert_eq!(lost, summary.value("lost.total").as_u64().unwrap_or(0), "{summary}");
        let latencies = || self.rows.iter().filter_map(|row| row.latency_ns);
        let least = latencies().map(|[_, least, _]| least).min();
        let greatest = latencies().map(|[.., greatest]| greatest).max();
        let latency = ["latency_ns.min", "latency_ns.max"].map(|key| summary.value(key).as_u64());
        assert_eq!([least, greatest], latency, "{summary}");
    }
}

impl Table {
    /// No packet is sent or given up before it is due, and in the end all are sent or given up.
    fn assert_due(&self, summary: &Summary) {
        let [mut all_due, mut all_not_sent, mut sent] = [0; 3];
        for row in &self.rows {
            let [due, not_sent] = row.due.unwrap_or_else(|| panic!("an empty cell: {row:?}"));
            (all_due, all_not_sent, sent) = (all_due + due, all_not_sent + not_sent, sent + row.tx);
            assert!(all_due >= all_not_sent + sent && due >= not_sent, "{row:?} in {summary}");
        }
        assert_eq!(all_due, all_not_sent + sent, "{summary}");
        let counts = ["tx.due", "tx.not_sent"].map(|key| summary.count(key));
        assert_eq!([all_due, all_not_sent], counts, "{summary}");
    }
}

fn row(record: &csv::StringRecord) -> Row {
    let cell = |column: usize| Some(&record[column]).filter(|cell| !cell.is_empty());
    let count = |column: usize| {
        cell(column).map(|cell| cell.parse().unwrap_or_else(|e| panic!("{e}: {record:?}")))
    };
    let always = |column| count(column).unwrap_or_else(|| panic!("an empty cell: {record:?}"));
    Row {
        time_ms: always(0),
        tx: always(1),
        rx: always(2),
        lost: count(3),
        loss_ratio: cell(4).map(|cell| cell.parse().unwrap_or_else(|e| panic!("{e}: {record:?}"))),
        latency_ns: count(5).map(|mean| [mean, always(6), always(7)]),
        dropped: count(18),
        due: count(DUE).map(|due| [due, always(DUE + 1)]),
    }
}
