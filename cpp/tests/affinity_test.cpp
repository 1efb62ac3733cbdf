#include "dataplane/affinity.hpp"

#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <system_error>

namespace {

/// A fake kernel with a CPU mask of this size, of which the thread may use some CPUs.
struct Kernel {
  std::size_t cpus;
  std::vector<uint32_t> allowed;
  /// The error of every call; 0: none.
  int error = 0;
};
std::optional<Kernel> kernel;

/// The CPUs that a thread was last bound to.
std::vector<uint32_t> bound;

}  // namespace

extern "C" {
int real_getaffinity(pid_t thread, std::size_t bytes,
                     cpu_set_t* set) asm("__real_sched_getaffinity");
int fake_getaffinity(pid_t thread, std::size_t bytes,
                     cpu_set_t* set) asm("__wrap_sched_getaffinity");
int fake_setaffinity(pthread_t thread, std::size_t bytes,
                     const cpu_set_t* set) asm("__wrap_pthread_setaffinity_np");

int fake_getaffinity(pid_t thread, std::size_t bytes, cpu_set_t* set) {
  if (!kernel) {
    return real_getaffinity(thread, bytes, set);
  }
  if (kernel->error != 0 || bytes * 8 < kernel->cpus) {
    errno = kernel->error != 0 ? kernel->error : EINVAL;
    return -1;
  }
  CPU_ZERO_S(bytes, set);
  std::ranges::for_each(kernel->allowed, [=](uint32_t cpu) { CPU_SET_S(cpu, bytes, set); });
  return 0;
}

int fake_setaffinity(pthread_t /*thread*/, std::size_t bytes, const cpu_set_t* set) {
  bound.clear();
  for (uint32_t cpu = 0; cpu < bytes * 8; ++cpu) {
    if (CPU_ISSET_S(cpu, bytes, set)) {
      bound.push_back(cpu);
    }
  }
  return 0;
}
}

namespace dpdkproj {
namespace {

class AffinityTest : public testing::Test {
 protected:
  void SetUp() override { bound.clear(); }
  void TearDown() override { kernel.reset(); }

  /// The message on stderr when lcores poll on `polling`, and the CPUs left for other threads.
  static std::string leave(Affinity& affinity, const Cpus& polling) {
    testing::internal::CaptureStderr();
    affinity.leave_to_lcores(polling);
    affinity.apply(pthread_self());
    return testing::internal::GetCapturedStderr();
  }
};

TEST_F(AffinityTest, IsReadFromThisMachine) {
  const Cpus cpus = allowed_cpus();
  EXPECT_FALSE(cpus.empty());
  EXPECT_TRUE(std::ranges::is_sorted(cpus));
}

TEST_F(AffinityTest, IsReadHoweverManyCpusThereAre) {
  kernel = {8192, {3, 1023, 1024, 8191}};
  EXPECT_EQ(allowed_cpus(), (Cpus{3, 1023, 1024, 8191}));
}

TEST_F(AffinityTest, IsWhatLcoresLeave) {
  kernel = {4096, {0, 1, 5, 6, 2000}};
  Affinity affinity;
  EXPECT_EQ(leave(affinity, {0, 5, 7}), "");
  EXPECT_EQ(bound, (Cpus{1, 6, 2000}));
  EXPECT_EQ(leave(affinity, {2000}), "") << "another run has others";
  EXPECT_EQ(bound, (Cpus{0, 1, 5, 6}));
}

TEST_F(AffinityTest, IsAllThereIsWhereLcoresLeaveNothingAndSaysSoOnce) {
  kernel = {1024, {2, 3}};
  Affinity affinity;
  EXPECT_EQ(
      leave(affinity, {2, 3}),
      "dpdkproj: lcores poll on every CPU, so the statistics threads share CPUs with them; EAL's "
      "-l with one CPU less leaves one free\n");
  EXPECT_EQ(bound, (Cpus{2, 3}));
  EXPECT_EQ(leave(affinity, {2, 3}), "");
}

TEST_F(AffinityTest, IsComeBackFromByAGuest) {
  kernel = {1024, {0, 1}};
  Affinity affinity;
  affinity.leave_to_lcores({0});
  kernel->allowed = {0};
  {
    const Affinity::Guest guest(affinity);
    EXPECT_EQ(bound, Cpus{1});
  }
  EXPECT_EQ(bound, Cpus{0});
}

TEST_F(AffinityTest, SaysOnceWhereItCannotBeRead) {
  kernel = {1024, {0, 1}, EPERM};
  EXPECT_THROW(allowed_cpus(), std::system_error);
  Affinity affinity;
  EXPECT_EQ(
      leave(affinity, {0}),
      "dpdkproj: the statistics threads share the CPU of the main lcore: they cannot be moved to "
      "another CPU (sched_getaffinity: Operation not permitted)\n");
  EXPECT_EQ(bound, Cpus{});
  EXPECT_EQ(leave(affinity, {0}), "");
}

}  // namespace
}  // namespace dpdkproj
