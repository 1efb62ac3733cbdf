// EAL can be initialised only once per process: this program does it before the first test.

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "dpdk/eal.hpp"

namespace dpdkproj {
namespace {

/// A CPU that this process may use: in a container it need not be 0.
std::string any_cpu() {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  sched_getaffinity(0, sizeof cpus, &cpus);
  int cpu = 0;
  while (cpu < CPU_SETSIZE - 1 && !CPU_ISSET(cpu, &cpus)) {
    ++cpu;
  }
  return std::to_string(cpu);
}

/// EAL arguments: two lcores on one CPU, no hugepages, no NIC, no files left behind.
class EalEnvironment final : public testing::Environment {
 public:
  void SetUp() override {
    eal_ = std::make_unique<Eal>(std::vector<std::string>{
        "dpdkproj_unit_eal", "--no-huge", "-m", "128", "--no-pci", "--no-shconf", "--no-telemetry",
        "--file-prefix=unit-" + std::to_string(getpid()), "--lcores=(0-1)@" + any_cpu()});
  }
  void TearDown() override { eal_.reset(); }

 private:
  std::unique_ptr<Eal> eal_;
};

}  // namespace
}  // namespace dpdkproj

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  testing::AddGlobalTestEnvironment(new dpdkproj::EalEnvironment);
  return RUN_ALL_TESTS();
}
