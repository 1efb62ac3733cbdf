//! The cases of `data/golden/reflect.txt`: frames, and what a reflector makes of them.

use std::collections::HashMap;

/// What becomes of a received frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// This frame is sent.
    Reflected(Vec<u8>),
    /// Nothing is sent, and it is counted under this name.
    Dropped(String),
}

/// A received frame and its fate.
#[derive(Clone, Debug)]
pub struct Case {
    /// What is special about it.
    pub name: String,
    /// Options of the reflector.
    pub options: String,
    /// The received frame.
    pub frame: Vec<u8>,
    /// The expected result.
    pub fate: Fate,
}

impl Case {
    /// The frame that is sent.
    #[must_use]
    pub fn sent(&self) -> Option<&Vec<u8>> {
        match &self.fate {
            Fate::Reflected(frame) => Some(frame),
            Fate::Dropped(_) => None,
        }
    }

    /// The name under which it is counted if nothing is sent.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match &self.fate {
            Fate::Reflected(_) => None,
            Fate::Dropped(reason) => Some(reason),
        }
    }
}

/// All cases, in the order of the file.
#[must_use]
pub fn cases() -> Vec<Case> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/golden/reflect.txt");
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let (head, cases) = text.split_once("\ncase ").unwrap_or_else(|| panic!("{path} has no cases"));
    let mut names = HashMap::new();
    for (name, words) in head.lines().filter_map(|line| line.split_once(" = ")) {
        if !name.starts_with('#') && !name.starts_with("scapy ") {
            names.insert(name.trim(), bytes(words, &names));
        }
    }
    cases.split("\ncase ").map(|lines| case(lines, &names)).collect()
}

fn case(lines: &str, names: &HashMap<&str, Vec<u8>>) -> Case {
    let mut lines = lines.lines();
    let name = lines.next().unwrap_or_default().to_string();
    let (mut options, mut frame, mut fate) = (None, None, None);
    let is_of_case = |line: &&str| !line.is_empty() && !line.starts_with('#');
    for line in lines.filter(is_of_case) {
        let (keyword, rest) = line.split_once(' ').unwrap_or((line, ""));
        let is_again = match keyword {
            "with" => options.replace(rest.to_string()).is_some(),
            "in" => frame.replace(bytes(rest, names)).is_some(),
            "out" => fate.replace(Fate::Reflected(bytes(rest, names))).is_some(),
            "drop" => fate.replace(Fate::Dropped(rest.into())).is_some(),
            // For the test with scapy.
            "scapy" | "veth" => false,
            _ => panic!("{name}: {line}"),
        };
        assert!(!is_again, "{name}: a second {line}");
    }
    let (Some(frame), Some(fate)) = (frame, fate) else {
        panic!("{name}: it needs `in`, and either `out` or `drop`")
    };
    Case { name, options: options.unwrap_or_default(), frame, fate }
}

/// The bytes that `words` stand for.
fn bytes(words: &str, names: &HashMap<&str, Vec<u8>>) -> Vec<u8> {
    let bytes = |word: &str| {
        if let Some(bytes) = names.get(word) {
            return Some(bytes.clone());
        }
        let (hex, times) = word.split_once('*').unwrap_or((word, "1"));
        let pairs = hex.as_bytes().chunks(2).map(|pair| {
            let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
            u8::from_str_radix(pair, 16).ok()
        });
        Some(pairs.collect::<Option<Vec<_>>>()?.repeat(times.parse().ok()?))
    };
    let all = words.split_whitespace().map(|word| {
        bytes(word)
            .unwrap_or_else(|| panic!("{word} is neither bytes nor a name that stands for some"))
    });
    all.flatten().collect()
}
