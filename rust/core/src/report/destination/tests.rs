use super::*;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::atomic::{AtomicU32, Ordering};

/// A temporary folder, removed with its content on drop.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static USED: AtomicU32 = AtomicU32::new(0);
        let number = USED.fetch_add(1, Ordering::Relaxed);
        let name = format!("dpdkproj-destination-{}-{number}", std::process::id());
        let path = std::env::temp_dir().canonicalize().unwrap().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn with_old(name: &str) -> (Self, PathBuf) {
        let folder = Self::new();
        let path = folder.0.join(name);
        fs::write(&path, "old and longer").unwrap();
        (folder, path)
    }

    /// Names of the files in it.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn inode(path: &Path) -> u64 {
    fs::metadata(path).unwrap().ino()
}

#[test]
fn a_new_file_is_there_with_its_first_text() {
    let folder = Folder::new();
    let path = folder.0.join("new");
    let destination = Destination::new(&path).unwrap();
    assert_eq!(folder.names(), [""; 0]);
    let mut file = destination.begin(b"header\n").unwrap();
    assert_eq!(folder.names(), ["new"]);
    assert_eq!(text(&path), "header\n");
    file.write_all(b"row\n").unwrap();
    assert_eq!(text(&path), "header\nrow\n");
    // With the default permissions of a new file.
    let other = folder.0.join("other");
    fs::write(&other, "").unwrap();
    let mode = |path| fs::metadata(path).unwrap().mode();
    assert_eq!(mode(&path), mode(&other));
}

/// A reader that has the old file open still sees all of it: so it was never truncated.
#[test]
fn an_older_file_stays_whole_until_the_new_one_is_there() {
    let (folder, path) = Folder::with_old("results");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).unwrap();
    let old = File::open(&path).unwrap();
    let destination = Destination::new(&path).unwrap();
    assert_eq!(text(&path), "old and longer");
    destination.write_whole(b"new").unwrap();
    assert_eq!(text(&path), "new");
    assert_eq!(io::read_to_string(old).unwrap(), "old and longer");
    assert_eq!(folder.names(), ["results"]);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o604);
}

#[test]
fn one_that_is_given_up_leaves_nothing_and_changes_nothing() {
    let (folder, path) = Folder::with_old("results");
    let before = inode(&path);
    drop(Destination::new(&path).unwrap());
    drop(Destination::new(&folder.0.join("new")).unwrap());
    assert_eq!(folder.names(), ["results"]);
    assert_eq!((text(&path), inode(&path)), ("old and longer".into(), before));
}

#[test]
fn links_stay_links() {
    let (folder, path) = Folder::with_old("results");
    let [link, to_link, to_nothing] =
        ["link", "to-link", "to-nothing"].map(|name| folder.0.join(name));
    symlink("results", &link).unwrap();
    symlink(&link, &to_link).unwrap();
    symlink("made", &to_nothing).unwrap();
    Destination::new(&to_link).unwrap().write_whole(b"new").unwrap();
    Destination::new(&to_nothing).unwrap().write_whole(b"first").unwrap();
    assert_eq!((text(&path), text(&folder.0.join("made"))), ("new".into(), "first".into()));
    for link in [&link, &to_link, &to_nothing] {
        assert!(fs::symlink_metadata(link).unwrap().is_symlink());
    }
}

#[test]
fn a_second_name_still_names_the_same_file() {
    let (folder, path) = Folder::with_old("results");
    let second = folder.0.join("second");
    fs::hard_link(&path, &second).unwrap();
    Destination::new(&path).unwrap().write_whole(b"new").unwrap();
    assert_eq!((text(&path), text(&second)), ("new".into(), "new".into()));
}

/// A file opened by another process or by us is not replaced: others may be writing to it.
#[test]
fn what_is_open_is_not_replaced() {
    use std::os::fd::AsRawFd;
    let (_folder, path) = Folder::with_old("results");
    let before = inode(&path);
    let open = File::options().write(true).open(&path).unwrap();
    let descriptor = PathBuf::from(format!("/dev/fd/{}", open.as_raw_fd()));
    Destination::new(&descriptor).unwrap().write_whole(b"new").unwrap();
    assert_eq!((text(&path), inode(&path)), ("new".into(), before));
}

#[test]
fn a_device_is_written_as_it_is() {
    let before = inode(Path::new("/dev/null"));
    Destination::new(Path::new("/dev/null")).unwrap().write_whole(b"text").unwrap();
    assert_eq!(inode(Path::new("/dev/null")), before);
    let full = Destination::new(Path::new("/dev/full")).unwrap().write_whole(b"text");
    assert_eq!(full.unwrap_err().kind(), io::ErrorKind::StorageFull);
}

#[test]
fn the_same_file_is_known_under_all_of_its_names() {
    let (folder, path) = Folder::with_old("results");
    let (link, new) = (folder.0.join("link"), folder.0.join("new"));
    symlink("results", &link).unwrap();
    symlink("new", folder.0.join("to-new")).unwrap();
    let at = |path: &Path| Destination::new(path).unwrap();
    let dotted = |name: &str| folder.0.join(".").join(name);
    assert!(at(&path).is_same(&at(&link)) && at(&path).is_same(&at(&dotted("results"))));
    assert!(at(&new).is_same(&at(&dotted("to-new"))));
    assert!(!at(&path).is_same(&at(&new)));
    let null = Path::new("/dev/null");
    assert!(!at(null).is_same(&at(null)));
}

#[test]
fn what_cannot_be_written_is_refused_at_once() {
    let folder = Folder::new();
    for (path, kind) in [
        (folder.0.clone(), io::ErrorKind::IsADirectory),
        (folder.0.join("new/"), io::ErrorKind::IsADirectory),
        (folder.0.join("missing").join("new"), io::ErrorKind::NotFound),
    ] {
        assert_eq!(Destination::new(&path).unwrap_err().kind(), kind, "{}", path.display());
    }
    let circle = folder.0.join("circle");
    symlink("circle", &circle).unwrap();
    assert!(Destination::new(&circle).is_err());
}

#[test]
fn what_is_open_for_reading_only_is_closed() {
    let null = File::open("/dev/null").unwrap();
    assert_eq!(Destination::standard(null, "stdout").unwrap_err().to_string(), "stdout is closed");
}
