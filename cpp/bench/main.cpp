// dpdkproj-bench: measures what our own code costs, without ports, EAL or hugepages. scripts/bench
// runs it.

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "bench.hpp"

namespace {

constexpr int kUsage = 2;

unsigned cpu_of(const std::string& text) { return static_cast<unsigned>(std::stoul(text)); }

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::vector<std::string> args(argv + 1, argv + argc);
    const std::string_view what = args.empty() ? std::string_view() : std::string_view(args[0]);
    if (what == "bridge" && args.size() >= 2 && args.size() <= 4) {
      if (args.size() >= 3) {
        dpdkproj::pin_to(cpu_of(args[2]));
      }
      dpdkproj::bench_bridge(std::stod(args[1]), args.size() == 4 ? args[3] : "");
    } else if (what == "ping-pong" && args.size() == 3) {
      dpdkproj::bench_ping_pong(cpu_of(args[1]), cpu_of(args[2]));
    } else if (what == "stalls" && args.size() == 3) {
      dpdkproj::bench_stalls(std::stod(args[1]), cpu_of(args[2]));
    } else {
      std::fputs(
          "usage: dpdkproj-bench bridge SECONDS [CPU [VARIANT]] | ping-pong CPU CPU | "
          "stalls SECONDS CPU\n",
          stderr);
      return kUsage;
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "dpdkproj-bench: %s\n", error.what());
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}
