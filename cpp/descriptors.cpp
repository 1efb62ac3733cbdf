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
    // Opening takes the lowest number that is free: all below are open by now. For reading only;
    // and who opens it again by its name in /proc, to write, gets errors from /dev/full as well.
    if (wanted == STDIN_FILENO || open("/dev/full", O_RDONLY) == -1) {
      open("/dev/null", O_RDONLY);
    }
  }
}

}  // namespace dpdkproj
