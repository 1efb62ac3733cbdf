#include "dpdk/eal.hpp"

#include <rte_eal.h>
#include <rte_errno.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "dpdk/error.hpp"
#include "dpdk/hints.hpp"

namespace dpdkproj {

namespace {

int init(std::vector<std::string> args) {
  // EAL keeps pointers to the arguments and permutes them: give it copies that live as long as the
  // process.
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

// A driver plugin pulls in the shared DPDK libraries. A second DPDK in one process ends in a stack
// trace from EAL.
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

// Detects another program with the same --file-prefix: it holds a lock on EAL's configuration file.
// (EAL itself only says "Cannot create lock" and sets no error.) Returns one line, or an empty
// string if there is no such program.
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
  // In another container, its process ID is unknown.
  const std::string holder = lock.l_pid > 0 ? "process " + std::to_string(lock.l_pid) : "a process";
  return "--file-prefix " + prefix + ": " + holder +
         " already runs DPDK under it; give this one another, such as --file-prefix=" + prefix +
         "2, in front of the `--`";
}

}  // namespace

Eal::Eal(const std::vector<std::string>& args) {
  refuse_drivers(args);
  // Messages go to stderr. EAL also prints its help, two screens long, on stdout when it rejects an
  // argument: suppress that, as the messages suffice.
  keep_log();
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
