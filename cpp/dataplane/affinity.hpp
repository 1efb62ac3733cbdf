#pragma once

#include <pthread.h>

#include <cstdint>
#include <string>
#include <vector>

namespace dpdkproj {

/// CPU numbers in ascending order.
using Cpus = std::vector<uint32_t>;

/// The CPUs that the calling thread may use, on machines with any number of CPUs. Throws a
/// std::system_error if the affinity cannot be read.
Cpus allowed_cpus();

/// Restricts `thread` to `cpus`. Returns whether the system accepted that.
bool bind_to(pthread_t thread, const Cpus& cpus) noexcept;

/// Keeps threads that are no lcores away from the CPUs of polling lcores.
///
/// EAL binds the thread that initialises it to the CPU of the main lcore, and threads started from
/// there inherit that affinity: they would compete with a polling worker. Instead they get those
/// CPUs of the process on which no lcore polls, or all of its CPUs if none is left. Must be
/// constructed before EAL is initialised.
class Affinity {
 public:
  Affinity();

  /// Declares that lcores poll on `polling` from now on. Warns once if that leaves no CPU.
  void leave_to_lcores(const Cpus& polling);

  /// Moves `thread` to the remaining CPUs. Warns once, with the reason, if that fails.
  void apply(pthread_t thread) const;

  /// While this object lives, the calling thread, and the threads that it starts, run on the
  /// remaining CPUs.
  class Guest {
   public:
    explicit Guest(const Affinity& affinity);
    ~Guest();
    Guest(const Guest&) = delete;
    Guest& operator=(const Guest&) = delete;

   private:
    Cpus before_;
  };

 private:
  /// The CPUs of the process; empty if unknown.
  Cpus allowed_;
  /// Those of them on which no lcore polls.
  Cpus control_;
  std::string unknown_;
};

}  // namespace dpdkproj
