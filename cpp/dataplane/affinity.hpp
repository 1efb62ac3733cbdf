#pragma once

#include <pthread.h>

#include <cstdint>
#include <string>
#include <vector>

namespace dpdkproj {

/// CPUs by number, ascending.
using Cpus = std::vector<uint32_t>;

/// The CPUs that the calling thread may use, however many the machine has. Throws a
/// std::system_error if the system does not tell.
Cpus allowed_cpus();

/// Lets `thread` use `cpus` alone; whether the system agrees.
bool bind_to(pthread_t thread, const Cpus& cpus) noexcept;

/// Where threads run that are no lcores.
///
/// EAL binds the thread that starts it to the main lcore's CPU, and threads begun from there
/// inherit that: without more ado they would take turns with a worker that polls. They get what
/// lcores leave of the CPUs that the process may use, or all of those where nothing is left. To be
/// made before EAL starts.
class Affinity {
 public:
  Affinity();

  /// Lcores poll on `polling` from now on. Says so, once, where they leave no CPU.
  void leave_to_lcores(const Cpus& polling);

  /// Moves `thread` there. Says why, once, where that cannot be done.
  void apply(pthread_t thread) const;

  /// As long as it lives, the calling thread is there, and so are threads that it begins.
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
  /// Of the whole process; empty where the system does not tell.
  Cpus allowed_;
  /// Of those, what lcores leave.
  Cpus control_;
  std::string unknown_;
};

}  // namespace dpdkproj
