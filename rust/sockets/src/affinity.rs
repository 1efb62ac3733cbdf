//! CPU affinity.

use std::io;
use std::mem::{size_of, zeroed};

/// Restricts the calling thread to `cpu`.
///
/// # Errors
/// The kernel's, such as that there is no such CPU.
pub fn pin_to(cpu: u32) -> io::Result<()> {
    // SAFETY: all zeros is the empty set.
    let mut set: libc::cpu_set_t = unsafe { zeroed() };
    let cpu = cpu as usize;
    if cpu >= 8 * size_of::<libc::cpu_set_t>() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: the bit is in the set.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: the set lives during the call, which reads that many bytes of it. 0 is the calling thread.
    let failed =
        unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
    if failed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
