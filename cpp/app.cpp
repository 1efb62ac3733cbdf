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

/// Sends everything printed on stdout from now on (by EAL and drivers) to stderr. Result files that
/// already have stdout open keep it.
void redirect_stdout_to_stderr() {
  std::fflush(stdout);
  dup2(STDERR_FILENO, STDOUT_FILENO);
}

/// Prints on stdout. Returns false, after an error message, if that fails.
bool print(const rust::String& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0) {
    return true;
  }
  std::fprintf(stderr, "dpdkproj: stdout: cannot be written: %s\n", std::strerror(errno));
  return false;
}

/// Collects what only C++ knows about the run that ended at `now_ns`; `control_sent` is the number
/// of frames that the control thread sent.
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

/// Ends the process if closing the port takes too long. The driver of a removed device may try for
/// half a minute to stop it (e1000). All results are written by now, and the memory of the driver
/// ends with the process.
void end_soon(int code) {
  static constexpr std::chrono::seconds kTimeout{2};
  std::thread([code] {
    std::this_thread::sleep_for(kTimeout);
    std::fprintf(stderr, "dpdkproj: the removed device did not stop within 2 s: not waited for\n");
    std::_Exit(code);
  }).detach();
}

/// Announces the next run, and runs it.
void run_once(const Mode& mode, Dataplane& dataplane) {
  const std::string name(mode.name);
  const rs::Next& next = dataplane.next();
  if (next.stage == rs::Stage::Measurement) {
    // A run that is stopped before it starts still writes results, so that those of an earlier run
    // are not mistaken for its own.
    std::fprintf(stderr, "dpdkproj: %s %s on port %u\n", name.c_str(),
                 dataplane.stop().is_made() ? "was stopped before it began" : "runs",
                 dataplane.port().id());
  } else if (next.warmup_ns > 0) {
    std::fprintf(stderr, "dpdkproj: %s warms up for %.1f s\n", name.c_str(),
                 static_cast<double>(next.warmup_ns) / 1e9);
  }
  mode.run(dataplane);
}

/// Prints the summary. Returns the exit code.
int report(const rs::Finished& finished, bool has_files) {
  int code = finished.limits_broken ? kLimitBroken : kSuccess;
  if (!finished.problem.empty()) {
    std::fprintf(stderr, "dpdkproj: %s\n", std::string(finished.problem).c_str());
    code = kFailure;
  }
  const bool is_said = std::fprintf(stderr, "%s\n", std::string(finished.summary).c_str()) > 0;
  // With stderr closed and no result file, the results would be lost.
  return is_said || has_files || code != kSuccess ? code : kFailure;
}

/// Waits for the link, and executes all runs of the session on `port`. Returns the exit code.
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
    session.link_is_up(port.link_mbps());  // if stopped, nothing is sent: the speed is not needed
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
      code = std::max(code, report(finished, options.has_files));
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
  // Statistics rely on fresh zero pages that take no memory until written
  // (rust/core/src/count/lines.rs). By default, glibc keeps ever larger freed blocks, and writes
  // zeros to them when they are allocated again.
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
    // From Rust: the request is impossible, or a result file cannot be written.
    std::fprintf(stderr, "dpdkproj: %s\n", error.what());
    return kUsage;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "dpdkproj: %s\n", error.what());
    return kFailure;
  }
}

}  // namespace dpdkproj
