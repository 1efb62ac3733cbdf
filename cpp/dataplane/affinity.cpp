#include "dataplane/affinity.hpp"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <iterator>
#include <memory>
#include <system_error>
#include <utility>

namespace dpdkproj {

namespace {

/// A dynamically sized cpu_set_t for `cpus` CPUs.
class CpuSet {
 public:
  explicit CpuSet(std::size_t cpus)
      : cpus_(cpus), bytes_(CPU_ALLOC_SIZE(cpus)), set_(CPU_ALLOC(cpus)) {
    if (set_ == nullptr) {
      throw std::bad_alloc();
    }
    CPU_ZERO_S(bytes_, set_);
  }
  ~CpuSet() { CPU_FREE(set_); }
  CpuSet(const CpuSet&) = delete;
  CpuSet& operator=(const CpuSet&) = delete;

  void add(uint32_t cpu) { CPU_SET_S(cpu, bytes_, set_); }
  Cpus list() const {
    Cpus list;
    for (uint32_t cpu = 0; cpu < cpus_; ++cpu) {
      if (CPU_ISSET_S(cpu, bytes_, set_)) {
        list.push_back(cpu);
      }
    }
    return list;
  }
  std::size_t bytes() const { return bytes_; }
  cpu_set_t* get() { return set_; }

 private:
  std::size_t cpus_;
  std::size_t bytes_;
  cpu_set_t* set_;
};

}  // namespace

Cpus allowed_cpus() {
  // The kernel does not report the size of its CPU mask; a smaller set results in EINVAL.
  constexpr std::size_t kMost = std::size_t{1} << 20;
  for (std::size_t cpus = CPU_SETSIZE;; cpus *= 2) {
    CpuSet set(cpus);
    if (sched_getaffinity(0, set.bytes(), set.get()) == 0) {
      return set.list();
    }
    if (errno != EINVAL || cpus >= kMost) {
      throw std::system_error(errno, std::generic_category(), "sched_getaffinity");
    }
  }
}

bool bind_to(pthread_t thread, const Cpus& cpus) noexcept {
  if (cpus.empty()) {
    return false;
  }
  CpuSet set(cpus.back() + std::size_t{1});
  std::ranges::for_each(cpus, [&set](uint32_t cpu) { set.add(cpu); });
  return pthread_setaffinity_np(thread, set.bytes(), set.get()) == 0;
}

Affinity::Affinity() {
  try {
    allowed_ = allowed_cpus();
    control_ = allowed_;
  } catch (const std::system_error& error) {
    unknown_ = error.what();
  }
}

void Affinity::leave_to_lcores(const Cpus& polling) {
  control_.clear();
  std::ranges::set_difference(allowed_, polling, std::back_inserter(control_));
  if (!control_.empty() || allowed_.empty()) {
    return;
  }
  control_ = allowed_;
  static bool said = false;
  if (!std::exchange(said, true)) {
    std::fprintf(
        stderr,
        "dpdkproj: lcores poll on every CPU, so the statistics threads share CPUs with them; "
        "EAL's -l with one CPU less leaves one free\n");
  }
}

void Affinity::apply(pthread_t thread) const {
  static bool said = false;
  if (!bind_to(thread, control_) && !std::exchange(said, true)) {
    std::fprintf(stderr,
                 "dpdkproj: the statistics threads share the CPU of the main lcore: they cannot be "
                 "moved to another CPU (%s)\n",
                 unknown_.empty() ? "the system refuses" : unknown_.c_str());
  }
}

Affinity::Guest::Guest(const Affinity& affinity) {
  try {
    before_ = allowed_cpus();
  } catch (const std::system_error&) {
    // The affinity could not be restored later. apply() warns about that.
    return;
  }
  affinity.apply(pthread_self());
}

Affinity::Guest::~Guest() { bind_to(pthread_self(), before_); }

}  // namespace dpdkproj
