#include "dataplane/terminal.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <string_view>

namespace dpdkproj {

namespace {

// Written once, before other threads start.
int terminal = -1;
termios modes_before;

void write_all(const char* text, std::size_t size) noexcept {
  while (size > 0) {
    const ssize_t written = write(terminal, text, size);
    if (written <= 0) {
      return;
    }
    text += written;
    size -= static_cast<std::size_t>(written);
  }
}

/// While the live view has the terminal, stderr is a file in memory: copies its end.
void write_last_messages() noexcept {
  constexpr off_t kMost = 4096;
  struct stat file = {};
  if (fstat(STDERR_FILENO, &file) != 0 || !S_ISREG(file.st_mode)) {
    return;
  }
  std::array<char, kMost> text;
  const ssize_t size =
      pread(STDERR_FILENO, text.data(), text.size(), std::max<off_t>(0, file.st_size - kMost));
  if (size > 0) {
    write_all(text.data(), static_cast<std::size_t>(size));
  }
}

void on_crash(int signal) {
  rescue_terminal();
  // SA_RESETHAND has restored the default action.
  raise(signal);
}

}  // namespace

void rescue_terminal_on_crash() {
  if (terminal != -1 || tcgetattr(STDERR_FILENO, &modes_before) != 0) {
    return;
  }
  terminal = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
  for (const int signal : {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGQUIT, SIGSEGV, SIGSYS}) {
    struct sigaction action = {};
    // A sanitizer handles crashes itself, and says more.
    if (sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_DFL) {
      action.sa_handler = on_crash;
      action.sa_flags = static_cast<int>(SA_RESETHAND | SA_NODEFER);
      sigaction(signal, &action, nullptr);
    }
  }
}

void rescue_terminal() noexcept {
  termios modes;
  // The live view takes the terminal out of canonical mode.
  if (terminal == -1 || tcgetattr(terminal, &modes) != 0 || (modes.c_lflag & ICANON) != 0) {
    return;
  }
  constexpr std::string_view kLeave = "\x1b[0m\x1b[?25h\x1b[?1049l";
  write_all(kLeave.data(), kLeave.size());
  tcsetattr(terminal, TCSANOW, &modes_before);
  write_last_messages();
}

}  // namespace dpdkproj
