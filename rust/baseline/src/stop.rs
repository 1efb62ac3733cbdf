//! Signals that ask to stop.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Starts a thread that waits for signals. The first one sets the flag that is returned; a second SIGINT or SIGTERM
/// ends the process at once.
///
/// # Errors
/// The system's.
pub(crate) fn on_signals() -> io::Result<Arc<AtomicBool>> {
    const INTERRUPTED: i32 = 130;
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    if !is_hangup_ignored() {
        signals.handle().add_signal(SIGHUP)?;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    let wait = move || {
        let mut orders = 0;
        for signal in signals.forever() {
            asked.store(true, Ordering::Relaxed);
            // When a login session ends, several SIGHUPs arrive.
            orders += i32::from(signal != SIGHUP);
            if orders > 1 {
                dpdkproj_core::report::give_back_terminal();
                std::process::exit(INTERRUPTED);
            }
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(wait)?;
    Ok(stop)
}

/// Whether the program was started by `nohup`.
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 << (SIGHUP - 1) != 0)
}
