//! Where results are written: stdout, a pipe, a device, or a file that atomically replaces an older
//! one.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, fchown};
use std::path::{Path, PathBuf};

/// Names of the standard output, apart from links to it.
const STDOUT: [&str; 2] = ["-", "/dev/stdout"];

/// A place that results can be written to. Nothing is created, truncated or written before
/// [`Destination::begin`].
#[derive(Debug)]
pub struct Destination(Place);

#[derive(Debug)]
enum Place {
    /// Written as it is: a pipe, a device, an inherited descriptor.
    Open(File),
    /// A file that cannot be replaced, because its folder is not writable or because it has a
    /// second name. It is truncated and written in place.
    Overwritten(File),
    /// A file that is written under a temporary name and then renamed to this path; with the
    /// existing file, if any.
    Renamed(PathBuf, Option<File>),
}

impl Destination {
    /// Checks that results can be written to `path`. `-` and `/dev/stdout` stand for the current
    /// standard output: redirecting it later has no effect. Opening a pipe blocks until it has a
    /// reader.
    ///
    /// # Errors
    /// The error of the system call.
    pub fn new(path: &Path) -> io::Result<Self> {
        if STDOUT.iter().any(|stdout| path == Path::new(stdout)) {
            return Self::standard(io::stdout().as_fd().try_clone_to_owned()?.into(), "stdout");
        }
        let path = match follow(path)? {
            Way::File(path) => path,
            Way::Descriptor(path) => return Self::descriptor(&path),
        };
        match File::options().write(true).open(&path) {
            Ok(file) => Self::existing(path, file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                remove(&temporary(&path)?.1);
                Ok(Self(Place::Renamed(path, None)))
            }
            Err(error) => Err(error),
        }
    }

    /// A destination that writes to `file` as it is.
    #[must_use]
    pub fn open(file: File) -> Self {
        Self(Place::Open(file))
    }

    /// Whether it is a terminal.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        match &self.0 {
            Place::Open(file) | Place::Overwritten(file) => file.is_terminal(),
            Place::Renamed(..) => false,
        }
    }

    fn standard(mut file: File, name: &str) -> io::Result<Self> {
        // A descriptor that is open only for reading fails here. `main.cpp` opens closed ones that
        // way.
        const EBADF: i32 = 9;
        match file.write(&[]) {
            Ok(_) => Ok(Self(Place::Open(file))),
            Err(error) if error.raw_os_error() == Some(EBADF) => {
                Err(io::Error::other(format!("{name} is closed")))
            }
            Err(error) => Err(error),
        }
    }

    /// An open file of a process, by its link in /proc. It need not have a path, and it is not
    /// replaced, because others have it open.
    fn descriptor(path: &Path) -> io::Result<Self> {
        let own = Path::new("/proc/self/fd").canonicalize();
        if own.is_ok_and(|own| path.parent() == Some(&own)) {
            if path.file_name() == Some(OsStr::new("1")) {
                return Self::standard(io::stdout().as_fd().try_clone_to_owned()?.into(), "stdout");
            }
            if path.file_name() == Some(OsStr::new("2")) {
                return Self::standard(io::stderr().as_fd().try_clone_to_owned()?.into(), "stderr");
            }
        }
        let file = File::options().write(true).open(path)?;
        let is_file = file.metadata()?.is_file();
        Ok(Self(if is_file { Place::Overwritten(file) } else { Place::Open(file) }))
    }

    fn existing(path: PathBuf, file: File) -> io::Result<Self> {
        let found = file.metadata()?;
        if !found.is_file() {
            return Ok(Self(Place::Open(file)));
        }
        let replaceable =
            found.nlink() == 1 && temporary_like(&path, &file).is_ok_and(|(_, name)| remove(&name));
        Ok(Self(if replaceable {
            Place::Renamed(path, Some(file))
        } else {
            Place::Overwritten(file)
        }))
    }

    /// Whether both are the same file, under whatever name: `-` and `/dev/stdout`, two hard links,
    /// a symbolic link. Character devices (a terminal, `/dev/null`) never count as the same.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        if let (Place::Renamed(one, _), Place::Renamed(other, _)) = (&self.0, &other.0) {
            return one == other;
        }
        let identity = |place: &Place| {
            let (Place::Open(file) | Place::Overwritten(file) | Place::Renamed(_, Some(file))) =
                place
            else {
                return None;
            };
            let found = file.metadata().ok()?;
            (!found.file_type().is_char_device()).then(|| (found.dev(), found.ino()))
        };
        identity(&self.0).is_some_and(|found| Some(found) == identity(&other.0))
    }

    /// Replaces what was there with `text`, the beginning of the results. Write the rest to the
    /// returned file. A file that can be replaced never exists empty or with part of `text`,
    /// however this process ends. On an error, the old file stays.
    ///
    /// # Errors
    /// The error of the system call.
    pub fn begin(self, text: &[u8]) -> io::Result<File> {
        self.put(text, false)
    }

    /// As [`Destination::begin`], for the complete results: they are on disk when this returns.
    ///
    /// # Errors
    /// The error of the system call.
    pub fn write_whole(self, text: &[u8]) -> io::Result<()> {
        self.put(text, true).map(drop)
    }

    fn put(self, text: &[u8], whole: bool) -> io::Result<File> {
        match self.0 {
            Place::Open(mut file) => file.write_all(text).map(|()| file),
            Place::Overwritten(file) => overwrite(file, text),
            Place::Renamed(path, old) => {
                let (mut file, name) = match &old {
                    Some(old) => temporary_like(&path, old)?,
                    None => temporary(&path)?,
                };
                let mut written = file.write_all(text);
                if whole {
                    // Some file systems report a full disk only here.
                    written = written.and_then(|()| file.sync_all());
                }
                match (written.and_then(|()| fs::rename(&name, &path)), old) {
                    (Ok(()), _) => Ok(file),
                    // A file that is a mount point cannot be replaced.
                    (Err(error), Some(old)) if error.kind() == io::ErrorKind::ResourceBusy => {
                        remove(&name);
                        overwrite(old, text)
                    }
                    (Err(error), _) => {
                        remove(&name);
                        Err(error)
                    }
                }
            }
        }
    }
}

fn overwrite(mut file: File, text: &[u8]) -> io::Result<File> {
    file.set_len(0)?;
    file.write_all(text).map(|()| file)
}

/// Where a path leads to.
enum Way {
    /// A file, which need not exist.
    File(PathBuf),
    /// An open file of a process.
    Descriptor(PathBuf),
}

/// Follows symbolic links, so that the link stays and its target is written. The target need not
/// exist.
fn follow(path: &Path) -> io::Result<Way> {
    const MOST_LINKS: usize = 40;
    let mut path = path.to_path_buf();
    for _ in 0..MOST_LINKS {
        let Some(name) = path.file_name() else { return Ok(Way::File(path)) };
        let folder = match path.parent() {
            Some(parent) if parent != Path::new("") => parent.canonicalize()?,
            _ => Path::new(".").canonicalize()?,
        };
        let whole = folder.join(name);
        if folder.starts_with("/proc") {
            return Ok(Way::Descriptor(whole));
        }
        let Ok(link) = fs::read_link(&whole) else {
            let is_folder = path.as_os_str().as_encoded_bytes().ends_with(b"/");
            let found = Ok(Way::File(whole));
            return if is_folder { Err(io::ErrorKind::IsADirectory.into()) } else { found };
        };
        path = folder.join(link);
    }
    Err(io::Error::other("too many links"))
}

/// Creates a temporary file in the folder of `path`; returns it with its name.
fn temporary(path: &Path) -> io::Result<(File, PathBuf)> {
    let id = std::process::id();
    let mut tried = 0;
    loop {
        let name = path.with_file_name(format!(".dpdkproj-{id}-{tried}.tmp"));
        match File::options().write(true).create_new(true).open(&name) {
            // Left behind by a killed process with the same process id.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tried < 100 => tried += 1,
            result => return result.map(|file| (file, name)),
        }
    }
}

/// As `temporary`, with the owner, group and permissions of `old`.
fn temporary_like(path: &Path, old: &File) -> io::Result<(File, PathBuf)> {
    let (file, name) = temporary(path)?;
    let like = || {
        let (old, new) = (old.metadata()?, file.metadata()?);
        if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
            fchown(&file, Some(old.uid()), Some(old.gid()))?;
        }
        file.set_permissions(old.permissions())
    };
    match like() {
        Ok(()) => Ok((file, name)),
        Err(error) => {
            remove(&name);
            Err(error)
        }
    }
}

/// Removes a file; returns whether that succeeded.
fn remove(name: &Path) -> bool {
    fs::remove_file(name).is_ok()
}

#[cfg(test)]
mod tests;
