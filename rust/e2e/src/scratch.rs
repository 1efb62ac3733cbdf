//! Folders and names that nobody else has.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A name that neither this process nor another has used.
#[must_use]
pub fn unique(prefix: &str) -> String {
    static USED: AtomicU32 = AtomicU32::new(0);
    format!("{prefix}-{}-{}", std::process::id(), USED.fetch_add(1, Ordering::Relaxed))
}

/// An empty folder, removed with all that is in it.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// A new one. Its path is short, as that of a socket must be.
    #[must_use]
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(unique("dpdkproj-e2e"));
        fs::create_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self(path)
    }

    /// The path of `name` in it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Its own path.
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
        // What is still there is at worst a few files in /tmp.
        fs::remove_dir_all(&self.0).unwrap_or_default();
    }
}
