#pragma once

namespace dpdkproj {

/// Gives the terminal back when the process dies while the live view has it: on SIGSEGV, SIGABRT
/// (which a panic ends in) and their like. Call once, before the live view begins. (An orderly end
/// needs none of this: rust/core/src/report/live/terminal.rs.)
void rescue_terminal_on_crash();

/// Gives the terminal back now, if the live view has it, and prints the last messages that nobody
/// would see otherwise. Does nothing without rescue_terminal_on_crash(). Async-signal-safe.
void rescue_terminal() noexcept;

}  // namespace dpdkproj
