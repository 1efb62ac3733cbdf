#include "app.hpp"

#include <malloc.h>
#include <rte_version.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "dataplane/dataplane.hpp"
#include "dataplane/impair.hpp"
#include "dataplane/mode.hpp"
#include "dpdk/eal.hpp"
#include "dpdk/error.hpp"
#include "dpdk/mempool.hpp"
#include "dpdkproj_rs/ffi.h"
#include "rust/cxx.h"

namespace dpdkproj {

namespace {

using Strings = std::vector<std::string>;

constexpr const char* kUsageLine = "dpdkproj [EAL OPTIONS] -- <MODE> [OPTIONS]";

rust::Vec<rust::String> to_rust(const Strings& strings) {
  rust::Vec<rust::String> copies;
  for (const std::string& string : strings) {
    copies.push_back(rust::String::lossy(string));
  }
  return copies;
}

rust::Box<rs::Config> parse(const Strings& args, const std::vector<Mode>& modes) {
  rust::Vec<rs::Mode> infos;
  for (const Mode& mode : modes) {
    infos.push_back(to_rust(mode));
  }
  return rs::parse_args(to_rust(args), std::move(infos));
}

/// From here on what anybody prints on stdout (EAL and drivers do) goes to stderr; files that are
/// open on stdout already stay there.
void redirect_stdout_to_stderr() {
  std::fflush(stdout);
  dup2(STDERR_FILENO, STDOUT_FILENO);
}

/// Prints on stdout; where that fails, says so.
bool print(const rust::String& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0) {
    return true;
  }
  std::fprintf(stderr, "dpdkproj: stdout: cannot be written: %s\n", std::strerror(errno));
  return false;
}

/// What Rust cannot know of the end at `now_ns`, when the control thread has sent so many packets.
rs::End end_of(const Port& port, uint64_t now_ns, uint64_t control_sent) {
  rust::Vec<rs::PortCounter> counters;
  for (const auto& [name, value] : port.counters()) {
    counters.push_back({name, value});
  }
  const ChecksumOffload by_port = port.checksums();
  return {.now_ns = now_ns,
          .delivered = port.delivered(),
          .accepted = port.accepted(),
          .control_sent = control_sent,
          .port_counters = std::move(counters),
          .port_removed = port.is_removed(),
          .checksums = {by_port.ipv4, by_port.udp},
          .dpdk_version = rte_version(),
          .driver = port.driver()};
}

PassingOn passing_on(rs::Queues queues) {
  switch (queues) {
    case rs::Queues::Paired:
      return PassingOn::kToOwnQueue;
    case rs::Queues::Mixed:
      return PassingOn::kToAnyQueue;
    default:
      return PassingOn::kNever;
  }
}

/// A driver may try for half a minute to stop a device that is not there any more (e1000), and ours
/// is the last program to hold it. Everything is written by now: what a run leaves behind, in
/// files and on screen, does not depend on what a driver does with memory that ends with us.
void end_soon(int code) {
  static constexpr std::chrono::seconds kTimeout{2};
  std::thread([code] {
    std::this_thread::sleep_for(kTimeout);
    std::fprintf(stderr, "dpdkproj: the removed device did not stop within 2 s: not waited for\n");
    std::_Exit(code);
  }).detach();
}

/// Says which run begins, and runs it.
void run_once(const Mode& mode, Dataplane& dataplane) {
  const std::string name(mode.name);
  const rs::Next& next = dataplane.next();
  if (next.stage == rs::Stage::Measurement) {
    // One that was to end before it began leaves results behind, too, not those of an earlier run.
    std::fprintf(stderr, "dpdkproj: %s %s on port %u\n", name.c_str(),
                 dataplane.stop().is_made() ? "was stopped before it began" : "runs",
                 dataplane.port().id());
  } else if (next.warmup_ns > 0) {
    std::fprintf(stderr, "dpdkproj: %s warms up for %.1f s\n", name.c_str(),
                 static_cast<double>(next.warmup_ns) / 1e9);
  }
  mode.run(dataplane);
}

/// Shows the summary; the exit code.
int tell(const rs::Finished& finished, bool has_files) {
  int code = finished.limits_broken ? kLimitBroken : kSuccess;
  if (!finished.problem.empty()) {
    std::fprintf(stderr, "dpdkproj: %s\n", std::string(finished.problem).c_str());
    code = kFailure;
  }
  const bool is_said = std::fprintf(stderr, "%s\n", std::string(finished.summary).c_str()) > 0;
  // Who closes stderr and asks for no file learns nothing.
  return is_said || has_files || code != kSuccess ? code : kFailure;
}

/// From the link to the end of the results.
int run_on(Port& port, const Mode& mode, const rs::Options& options, rs::Session& session,
           const ClockReading& started, const StopSignals& signals, Affinity& affinity) {
  if (mode.needs_link) {
    if (!port.wait_for_link(kLinkTimeout, signals.request()) && !signals.requested()) {
      std::fprintf(stderr,
                   "dpdkproj: the port's link is down, and stayed so for 10 s: start the "
                   "peer first, or choose another port with -p\n");
      return kFailure;
    }
  }
  if (!signals.requested()) {
    session.link_is_up(port.link_mbps());  // else the link may be down, and nothing is sent
  }
  const Clock clock(started, signals.request());
  SlowPath slow_path(port);
  int code = kSuccess;
  for (;;) {
    const rs::Next next = session.next(port.mac(), signals.requested());
    if (next.stage == rs::Stage::Nothing) {
      return code;
    }
    Dataplane dataplane(port, slow_path, session, next, options, clock, signals, affinity);
    run_once(mode, dataplane);
    if (next.stage == rs::Stage::Measurement) {
      const uint64_t end_ns = dataplane.clock().now_ns();
      const rs::Finished finished = session.finish(end_of(port, end_ns, slow_path.sent()));
      code = std::max(code, tell(finished, options.has_files));
    }
  }
}

int run_mode(const Mode& mode, const rs::Config& config, const rs::Options& options,
             const Strings& args, const Strings& eal_args, const StopSignals& signals,
             Affinity& affinity) {
  const ClockReading started = ClockReading::take();
  rust::Box<rs::Session> session = rs::open_session(config, to_rust(args));
  redirect_stdout_to_stderr();

  const Eal eal(eal_args);
  const PortInfo info = find_port(std::string(options.port));
  session->check_port({info.max_rx_queues, info.max_tx_queues, std::min(info.mtu, kLargestSent)});
  Port port(
      info,
      {options.rx_queues, options.tx_queues, options.rx_descriptors, options.tx_descriptors,
       options.rx_burst, options.tx_burst, options.checksum_offload, options.send_on_timestamp,
       options.impaired ? ReflectImpaired::mbufs(options.delay_ns) : 0, passing_on(mode.queues)},
      signals.request());
  const int code = run_on(port, mode, options, *session, started, signals, affinity);
  if (port.is_removed()) {
    end_soon(code);
  }
  return code;
}

}  // namespace

int run_app(const Strings& args) {
  const auto separator = std::ranges::find(args, "--");
  const Strings eal_args(args.begin(), separator);
  const auto is_help = [](const std::string& arg) { return arg == "--help" || arg == "-h"; };
  if (std::ranges::any_of(eal_args, is_help)) {
    print_eal_help(args.front(),
                   "These are EAL's own options, in front of the `--` in\n"
                   "    dpdkproj [EAL OPTIONS] -- <MODE> [OPTIONS]\n"
                   "For dpdkproj's modes and options: dpdkproj -- --help\n");
  }
  if (separator == args.end()) {
    std::fprintf(stderr,
                 "dpdkproj: no `--` between EAL's options and ours: %s; dpdkproj -- --help "
                 "explains ours\n",
                 kUsageLine);
    return kUsage;
  }
  // Statistics need pages that nobody has written (rust/core/src/count/lines.rs). By default glibc
  // keeps ever larger blocks that were freed, and writes zeros to them when they are used again.
  mallopt(M_MMAP_THRESHOLD, 128 << 10);
  const std::vector<Mode> modes = all_modes();
  try {
    const rust::Box<rs::Config> config = parse(Strings(separator + 1, args.end()), modes);
    const rs::Options options = config->options();
    if (!options.help.empty()) {
      return print(options.help) ? kSuccess : kFailure;
    }
    const StopSignals signals;
    Affinity affinity;
    const auto mode = std::ranges::find(modes, std::string(options.mode), &Mode::name);
    return run_mode(*mode, *config, options, args, eal_args, signals, affinity);
  } catch (const UsageError& error) {
    std::fprintf(stderr, "dpdkproj: %s\n", error.what());
    return kUsage;
  } catch (const rust::Error& error) {
    // From Rust: what was asked cannot be, or cannot be written where it was asked for.
    std::fprintf(stderr, "dpdkproj: %s\n", error.what());
    return kUsage;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "dpdkproj: %s\n", error.what());
    return kFailure;
  }
}

}  // namespace dpdkproj
