#include "dpdk/eal.hpp"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "dpdk/error.hpp"

namespace dpdkproj {

namespace {

int init(std::vector<std::string> args) {
  // EAL keeps pointers to the arguments and permutes them: give it copies that stay.
  static std::vector<std::string> kept;
  static std::vector<char*> argv;
  kept = std::move(args);
  argv.clear();
  for (std::string& arg : kept) {
    argv.push_back(arg.data());
  }
  argv.push_back(nullptr);
  return rte_eal_init(static_cast<int>(kept.size()), argv.data());
}

// A driver brings DPDK's shared libraries with it, and a second DPDK in one process ends in a
// stack trace of EAL's.
void refuse_drivers([[maybe_unused]] const std::vector<std::string>& args) {
#ifdef DPDKPROJ_STATIC_DPDK
  const auto loads = [](const std::string& arg) {
    return arg.starts_with("-d") || arg.starts_with("--driver-path");  // later DPDKs
  };
  if (const auto found = std::ranges::find_if(args, loads); found != args.end()) {
    throw UsageError(
        *found +
        ": this program has DPDK and all drivers in it and cannot load others; build it "
        "without DPDKPROJ_STATIC_DPDK");
  }
#endif
}

// Two programs that share EAL's files: the first one holds a lock on its configuration (EAL's own
// words are "Cannot create lock", and it sets no error). One line about it; empty if that is not
// so.
std::string file_prefix_in_use() {
  const std::string directory = rte_eal_get_runtime_dir();
  const int config = open((directory + "/config").c_str(), O_RDONLY | O_CLOEXEC);
  if (config == -1) {
    return {};
  }
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  const bool is_held = fcntl(config, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
  close(config);
  if (!is_held) {
    return {};
  }
  const std::string prefix = directory.substr(directory.rfind('/') + 1);
  // The other one may be in another container, where its number is not known.
  const std::string holder = lock.l_pid > 0 ? "process " + std::to_string(lock.l_pid) : "a process";
  return "--file-prefix " + prefix + ": " + holder +
         " already runs DPDK under it; give this one another, such as --file-prefix=" + prefix +
         "2, in front of the `--`";
}

}  // namespace

Eal::Eal(const std::vector<std::string>& args) {
  refuse_drivers(args);
  // Its messages go to stderr. What it prints on stdout all the same is its help, two screens of
  // it, when it does not like an argument: the messages are enough.
  rte_openlog_stream(stderr);
  std::fflush(stdout);
  const int real_stdout = dup(STDOUT_FILENO);
  const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  dup2(nowhere, STDOUT_FILENO);
  close(nowhere);
  const int result = init(args);
  std::fflush(stdout);
  dup2(real_stdout, STDOUT_FILENO);
  close(real_stdout);
  if (result >= 0) {
    return;
  }
  if (const std::string collision = file_prefix_in_use(); !collision.empty()) {
    throw UsageError(collision);
  }
  if (rte_errno == EINVAL) {
    throw UsageError(
        "EAL does not start: one of its options is wrong (its own messages above say "
        "which); `dpdkproj --help` lists them");
  }
  throw DpdkError("EAL does not start", rte_errno, "its own messages above say why");
}

Eal::~Eal() { rte_eal_cleanup(); }

void print_eal_help(const std::string& program, const char* behind) {
  static const char* text;
  text = behind;
  rte_set_application_usage_hook([](const char*) {
    std::puts(text);
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
      std::fputs("dpdkproj: stdout: cannot be written\n", stderr);
      std::exit(EXIT_FAILURE);
    }
  });
  init({program, "--help"});
  std::exit(EXIT_SUCCESS);
}

}  // namespace dpdkproj
