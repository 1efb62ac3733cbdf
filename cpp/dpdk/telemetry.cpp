#include "dpdk/telemetry.hpp"

#include <rte_telemetry.h>
#include <rte_version.h>

#include <algorithm>
#include <array>
#include <mutex>

namespace dpdkproj {

namespace {

struct Published {
  std::mutex mutex;
  Telemetry telemetry;
};

/// Never destroyed: DPDK's threads may call back until the process has ended.
Published& published() {
  static auto* const all = new Published;
  return *all;
}

int tell(rte_tel_data* data, const Figures& figures) {
  rte_tel_data_start_dict(data);
  for (const auto& [name, value] : figures) {
#if RTE_VERSION >= RTE_VERSION_NUM(23, 3, 0, 0)
    const int error = rte_tel_data_add_dict_uint(data, name.c_str(), value);
#else
    const int error = rte_tel_data_add_dict_u64(data, name.c_str(), value);
#endif
    if (error != 0) {
      break;  // It is full.
    }
  }
  return 0;
}

int tell_summary(const char* /*command*/, const char* /*params*/, rte_tel_data* data) {
  const std::lock_guard lock(published().mutex);
  return tell(data, published().telemetry.summary);
}

int tell_histogram(const char* /*command*/, const char* /*params*/, rte_tel_data* data) {
  const std::lock_guard lock(published().mutex);
  return tell(data, published().telemetry.histogram);
}

int tell_queues(const char* /*command*/, const char* params, rte_tel_data* data) {
  const std::lock_guard lock(published().mutex);
  const auto& queues = published().telemetry.queues;
  const std::string wanted = params == nullptr ? "" : params;
  if (wanted.empty()) {
    rte_tel_data_start_array(data, RTE_TEL_STRING_VAL);
    for (const auto& [name, figures] : queues) {
      if (rte_tel_data_add_array_string(data, name.c_str()) != 0) {
        break;  // It is full.
      }
    }
    return 0;
  }
  const auto found =
      std::ranges::find(queues, wanted, [](const auto& queue) { return queue.first; });
  // Of an error, DPDK makes `null`.
  return found == queues.end() ? -1 : tell(data, found->second);
}

void register_commands() {
  struct Command {
    const char* name;
    telemetry_cb answer;
    const char* help;
  };
  static constexpr std::array<Command, 3> kCommands = {
      {{"/dpdkproj/summary", tell_summary,
        "Counts and latencies of the run up to its last complete second. No parameters"},
       {"/dpdkproj/queues", tell_queues,
        "Names of the queues; with one of them as parameter: its counts"},
       {"/dpdkproj/histogram", tell_histogram,
        "Round-trip times: packets from the previous bound up to this one. No parameters"}}};
  for (const Command& command : kCommands) {
    // Without telemetry (--no-telemetry), nobody asks.
    rte_telemetry_register_cmd(command.name, command.answer, command.help);
  }
}

}  // namespace

void publish(Telemetry telemetry) {
  {
    const std::lock_guard lock(published().mutex);
    published().telemetry = std::move(telemetry);
  }
  static std::once_flag registered;
  std::call_once(registered, register_commands);
}

}  // namespace dpdkproj
