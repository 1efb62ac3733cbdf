//! How well the system clock is synchronised.

use std::io;

/// The state of `CLOCK_REALTIME`, as the kernel was told by whoever sets it (`adjtimex(2)`).
#[derive(Clone, Copy, Debug)]
pub struct ClockState {
    /// `STA_UNSYNC` is not set.
    pub is_synchronised: bool,
    /// Its error is at most this, in us.
    pub max_error_us: u64,
    /// Its error is estimated to be this, in us.
    pub estimated_error_us: u64,
}

impl ClockState {
    /// Asks the kernel.
    ///
    /// # Errors
    /// Of the system call.
    pub fn read() -> io::Result<Self> {
        // SAFETY: All fields are integers. `modes` 0 changes nothing.
        let mut state: libc::timex = unsafe { std::mem::zeroed() };
        // SAFETY: The kernel writes only into the structure.
        if unsafe { libc::adjtimex(&raw mut state) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            is_synchronised: state.status & libc::STA_UNSYNC == 0,
            max_error_us: state.maxerror.try_into().unwrap_or(0),
            estimated_error_us: state.esterror.try_into().unwrap_or(0),
        })
    }
}
