#include "descriptors.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <initializer_list>

namespace dpdkproj {

void open_standard_descriptors() {
  for (const int wanted : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(wanted, F_GETFD) != -1 || errno != EBADF) {
      continue;
    }
    // open() returns the lowest free number, and all lower ones are open by now. Read-only, so that
    // writes fail; a program that reopens the descriptor for writing through /proc gets errors from
    // /dev/full as well.
    if (wanted == STDIN_FILENO || open("/dev/full", O_RDONLY) == -1) {
      open("/dev/null", O_RDONLY);
    }
  }
}

}  // namespace dpdkproj
