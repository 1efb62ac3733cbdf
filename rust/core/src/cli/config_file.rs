//! The file of `--config`: options by their long names, in TOML.

use std::fmt::Write as _;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The key: the name of an option without dashes, `mode` or `eal`.
    pub(super) key: String,
    /// Where it is, as `FILE:LINE`.
    pub(super) place: String,
    pub(super) value: Value,
}

/// A value as on the command line, whatever its type in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Flag(bool),
    One(String),
    Many(Vec<String>),
}

/// Reads the file at `path`. Entries are in the order of the file, so that the first error is
/// reported.
///
/// # Errors
/// One line with file, line and key.
pub(super) fn read(path: &str) -> Result<Vec<Entry>, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("--config {path}: cannot be read: {error}"))?;
    parse(path, &text)
}

/// The same for the text of a file.
pub(super) fn parse(path: &str, text: &str) -> Result<Vec<Entry>, String> {
    let place = |at: usize| {
        let before = text.as_bytes().iter().take(at);
        format!("{path}:{}", 1 + before.filter(|byte| **byte == b'\n').count())
    };
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        format!("{}: this is no TOML: {}", place(at), error.message().replace('\n', " "))
    })?;
    let entry = |(key, value): (Spanned<_>, Spanned<DeValue>)| {
        let place = place(key.span().start);
        let key = String::from(key.into_inner());
        let value = read_value(value.into_inner()).map_err(|is| {
            format!(
                "{place}: {key}: {is}: expected a text, a number, true or false, or a list of texts"
            )
        })?;
        Ok(Entry { key, place, value })
    };
    let mut entries: Vec<_> = table.into_inner().into_iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries.into_iter().map(entry).collect()
}

/// # Errors
/// What the value is.
fn read_value(value: DeValue) -> Result<Value, &'static str> {
    match value {
        DeValue::Boolean(given) => Ok(Value::Flag(given)),
        DeValue::Array(items) => {
            let items = items.into_iter().map(|item| one(&item.into_inner()));
            items.collect::<Result<_, _>>().map(Value::Many)
        }
        value => one(&value).map(Value::One),
    }
}

fn one(value: &DeValue) -> Result<String, &'static str> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().replace('_', "")),
        DeValue::Integer(_) => Err("this is a number that is not decimal"),
        DeValue::Float(number) => Ok(number.as_str().replace('_', "")),
        DeValue::Boolean(_) => Err("this is true or false in a list"),
        DeValue::Datetime(_) => Err("this is a date"),
        DeValue::Array(_) => Err("this is a list in a list"),
        DeValue::Table(_) => Err("this is a table"),
    }
}

/// `text` as a value in TOML.
pub(super) fn quoted(text: &str) -> String {
    let is_number = text == "0"
        || (text.len() < 19 && !text.starts_with('0') && !text.is_empty())
            && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number {
        return text.into();
    }
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// `texts` as a list in TOML.
pub(super) fn list(texts: &[String]) -> String {
    let texts: Vec<_> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", texts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value(text: &str) -> Result<Value, String> {
        parse("f", text).map(|mut entries| entries.remove(0).value)
    }

    #[test]
    fn values_are_read_as_on_the_command_line() {
        let one = |text: &str| Ok(Value::One(text.into()));
        assert_eq!(value("a = '3.5Mpps'"), one("3.5Mpps"));
        assert_eq!(value("a = 3_500_000"), one("3500000"));
        assert_eq!(value("a = 0.25"), one("0.25"));
        assert_eq!(value("a = -1"), one("-1"));
        assert_eq!(value("a = true"), Ok(Value::Flag(true)));
        assert_eq!(value("a = ['b', 2]"), Ok(Value::Many(vec!["b".into(), "2".into()])));
    }

    #[test]
    fn what_cannot_be_a_value_is_one_line_with_its_place() {
        for (text, expected) in [
            ("a = 1\n\nb = 2026-11-28", "f:3: b: this is a date: expected a text"),
            ("[a]\nb = 1", "f:1: a: this is a table: expected"),
            ("a = [[1]]", "f:1: a: this is a list in a list: expected"),
            ("a = [true]", "f:1: a: this is true or false in a list"),
            ("a = 0x10", "f:1: a: this is a number that is not decimal"),
            ("a = 1\na = 2", "f:2: this is no TOML: duplicate key"),
            ("a = 1\nb = \n", "f:2: this is no TOML: "),
            ("\n\nrate 5", "f:3: this is no TOML: "),
        ] {
            let error = parse("f", text).unwrap_err();
            assert!(error.starts_with(expected) && !error.contains('\n'), "{text}: {error}");
        }
        let error = read("/nowhere/f.toml").unwrap_err();
        assert!(
            error.starts_with("--config /nowhere/f.toml: cannot be read: No such file"),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn what_is_quoted_is_read_as_it_was(texts in prop::collection::vec("\\PC*|[\\x00-\\x7f]*|[0-9]{0,22}", 0..4)) {
            let read = value(&format!("a = {}", list(&texts)));
            prop_assert_eq!(read, Ok(Value::Many(texts)));
        }

        #[test]
        fn any_text_is_read_or_refused_in_one_line(text in "(\\PC|\n|=|\\[|\\]|\"|#|')*") {
            if let Err(error) = parse("f", &text) {
                prop_assert!(!error.contains('\n') && error.starts_with("f:"), "{}", error);
            }
        }
    }
}
