//! The commands `report` and `merge`: they read the JSON of runs, and run nothing.

use super::{Parsed, one_line};
use crate::report::{Destination, Outcome, Sum, from_json, summary, to_json};
use clap::{Args, Command, FromArgMatches};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};

/// A longer file is no result: the longest names 1,000 queues and 1,000 events.
const LONGEST: u64 = 16 << 20;

#[derive(Args)]
struct ReportArgs {
    /// Result of a run, written by --json; - is stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Args)]
struct MergeArgs {
    /// Results of runs, written by --json
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Names of further files, one a line; - is stdin
    #[arg(long, value_name = "LIST")]
    from_file: Option<PathBuf>,
    /// File for the sum, in the same form as a run
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub(super) fn report_command() -> Command {
    let command = Command::new("report").about("Print the summary of a saved run again");
    ReportArgs::augment_args(command)
}

pub(super) fn merge_command() -> Command {
    let about =
        "Add up saved runs as if they had been one: counters and histograms, never percentiles";
    MergeArgs::augment_args(Command::new("merge").about(about))
}

pub(super) fn report(matches: &clap::ArgMatches) -> Result<Parsed, String> {
    let args = ReportArgs::from_arg_matches(matches).map_err(|error| one_line(&error))?;
    let outcome =
        read(&args.file).map_err(|why| format!("report {}: {why}", args.file.display()))?;
    Ok(Parsed::Answer { text: summary(&outcome) + "\n", code: 0 })
}

pub(super) fn merge(matches: &clap::ArgMatches) -> Result<Parsed, String> {
    let args = MergeArgs::from_arg_matches(matches).map_err(|error| one_line(&error))?;
    if args.files.is_empty() && args.from_file.is_none() {
        return Err(
            "merge: no file is given: name files, or a list of them with --from-file".into()
        );
    }
    let failed =
        |path: &Path, error| format!("--json {}: cannot be written: {error}", path.display());
    // Before all files are read: it may be one of them, and stays as it is until the sum replaces it.
    let json = args.json.as_deref().map(|path| match Destination::new(path) {
        Ok(destination) => Ok((path, destination)),
        Err(error) => Err(failed(path, error)),
    });
    let json = json.transpose()?;
    let mut sum = Sum::default();
    let mut left_out = 0_u64;
    let mut add = |file: &Path| {
        if let Err(why) = read(file).and_then(|outcome| sum.add(outcome)) {
            left_out += 1;
            eprintln!("merge {}: left out: {why}", file.display());
        }
    };
    args.files.iter().for_each(|file| add(file));
    if let Some(list) = &args.from_file {
        let unread = |error| format!("merge --from-file {}: {error}", list.display());
        for line in BufReader::new(open(list).map_err(unread)?).lines() {
            let line = line.map_err(unread)?;
            if !line.is_empty() {
                add(Path::new(&line));
            }
        }
    }
    let outcome = sum.into_outcome().ok_or("merge: there is no run to add up")?;
    if let Some((path, destination)) = json {
        destination
            .write_whole(to_json(&outcome).as_bytes())
            .map_err(|error| failed(path, error))?;
    }
    Ok(Parsed::Answer { text: summary(&outcome) + "\n", code: u8::from(left_out > 0) })
}

fn open(path: &Path) -> std::io::Result<Box<dyn Read>> {
    if path == Path::new("-") {
        return Ok(Box::new(std::io::stdin()));
    }
    Ok(Box::new(File::open(path)?))
}

fn read(path: &Path) -> Result<Outcome, String> {
    let mut text = String::new();
    let file = open(path).map_err(|error| error.to_string())?;
    let length = file.take(LONGEST + 1).read_to_string(&mut text);
    if length.map_err(|error| error.to_string())? as u64 > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes, and no result is"));
    }
    from_json(&text)
}
