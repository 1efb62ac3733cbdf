//! What the service manager is told: only if it asks for that, as systemd does (`Type=notify`).

use sd_notify::NotifyState;

/// Says that we are ready, to the manager that has set `NOTIFY_SOCKET`. Does not wait for it.
pub(super) fn say_ready() {
    if std::env::var_os("NOTIFY_SOCKET").is_some() {
        // In a thread of its own, because a manager that does not read would block the caller.
        let thread = std::thread::Builder::new().name("sd-notify".into());
        // A failure needs no message here: the manager waits for the notification with a timeout,
        // and reports that.
        let _ = thread.spawn(|| sd_notify::notify(&[NotifyState::Ready]));
    }
}
