//! Unique directories and names.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A name that no process has used.
#[must_use]
pub fn unique(prefix: &str) -> String {
    static USED: AtomicU32 = AtomicU32::new(0);
    format!("{prefix}-{}-{}", std::process::id(), USED.fetch_add(1, Ordering::Relaxed))
}

/// A temporary directory, initially empty, removed with its content.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Creates a directory. Its path is short, as required for the path of a socket in it.
    #[must_use]
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(unique("dpdkproj-e2e"));
        fs::create_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self(path)
    }

    /// The path of `name` in the directory.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The path of the directory.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.0
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // At worst, a few files are left in /tmp.
        fs::remove_dir_all(&self.0).unwrap_or_default();
    }
}
