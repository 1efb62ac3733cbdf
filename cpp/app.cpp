#include "app.hpp"

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
    infos.push_back({rust::String(mode.name.data(), mode.name.size()),
                     rust::String(mode.about.data(), mode.about.size()), mode.meaning,
                     mode.queues});
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

rs::PortFacts facts_of(const Port& port) {
  rust::Vec<rs::PortCounter> counters;
  for (const auto& [name, value] : port.counters()) {
    counters.push_back({name, value});
  }
  const ChecksumOffload by_port = port.checksums();
  return {std::move(counters), {by_port.ipv4, by_port.udp}};
}

/// A driver may try for half a minute to stop a device that is not there any more (e1000), and ours
/// is the last program to hold it. Everything is written by now: what a run leaves behind, in
/// files and on screen, does not depend on what a driver does with memory that ends with us.
void end_soon(int code) {
  static constexpr std::chrono::seconds kPatience{2};
  std::thread([code] {
    std::this_thread::sleep_for(kPatience);
    std::fprintf(stderr, "dpdkproj: the removed device did not stop within 2 s: not waited for\n");
    std::_Exit(code);
  }).detach();
}

/// The run itself, after its preliminary one, if there is one.
int measure(const Mode& mode, const rs::Config& config, rs::Run& run, Port& port,
            const ClockReading& started, const StopSignals& signals, Affinity& affinity) {
  const rs::Options options = config.options();
  const Clock clock(started, signals.request());
  if (rs::has_preliminary(config) && !signals.requested()) {
    rust::Box<rs::Run> preliminary = rs::new_preliminary(config);
    if (preliminary->duration_ns() > 0) {
      std::fprintf(stderr, "dpdkproj: %s warms up for %.1f s\n", std::string(options.mode).c_str(),
                   static_cast<double>(preliminary->duration_ns()) / 1e9);
    }
    Dataplane dataplane(port, *preliminary, options, clock, signals, affinity);
    mode.run(dataplane);
    run.begin_after(*preliminary);
  }
  Dataplane dataplane(port, run, options, clock, signals, affinity);
  // One that was to end before it began leaves results behind, too, not those of an earlier run.
  std::fprintf(stderr, "dpdkproj: %s %s on port %u\n", std::string(options.mode).c_str(),
               signals.requested() ? "was stopped before it began" : "runs", port.id());
  mode.run(dataplane);

  if (port.is_removed()) {
    run.port_removed(dataplane.clock().now_ns());
  }
  int code = kSuccess;
  try {
    run.finish(port.delivered(), port.accepted(), facts_of(port), {rte_version(), port.driver()});
    code = run.has_broken_limits() ? kLimitBroken : kSuccess;
  } catch (const rust::Error& error) {
    std::fprintf(stderr, "dpdkproj: %s\n", error.what());
    code = kFailure;
  }
  const bool is_said = std::fprintf(stderr, "%s\n", std::string(run.summary()).c_str()) > 0;
  // Who closes stderr and asks for no file learns nothing.
  return is_said || options.has_files || code != kSuccess ? code : kFailure;
}

/// From the link to the end of the results.
int run_on(Port& port, const Mode& mode, rs::Config& config, rust::Box<rs::Files> files,
           const Strings& args, const ClockReading& started, const StopSignals& signals,
           Affinity& affinity) {
  if (mode.needs_link) {
    if (!port.wait_for_link(kLinkPatience, signals.request()) && !signals.requested()) {
      std::fprintf(stderr,
                   "dpdkproj: the port's link is down, and stayed so for 10 s: start the "
                   "peer first, or choose another port with -p\n");
      return kFailure;
    }
  }
  if (!signals.requested()) {
    config.resolve_line_rate(port.link_mbps());  // else the link may be down, and nothing is sent
  }
  rust::Box<rs::Run> run = rs::new_run(config, std::move(files), to_rust(args));
  return measure(mode, config, *run, port, started, signals, affinity);
}

int run_mode(const Mode& mode, rs::Config& config, const Strings& args, const Strings& eal_args,
             const StopSignals& signals, Affinity& affinity) {
  const ClockReading started = ClockReading::take();
  const rs::Options options = config.options();
  rust::Box<rs::Files> files = rs::open_files(config);
  redirect_stdout_to_stderr();

  const Eal eal(eal_args);
  const PortInfo info = find_port(std::string(options.port));
  config.check_port({info.max_rx_queues, info.max_tx_queues, std::min(info.mtu, kLargestSent)});
  Port port(info,
            {options.rx_queues, options.tx_queues, options.rx_descriptors, options.tx_descriptors,
             options.rx_burst, options.tx_burst, options.checksum_offload,
             options.release == rs::Release::Hardware,
             options.impaired ? ReflectImpaired::mbufs(options.delay_ns) : 0,
             mode.queues == rs::Queues::Mixed},
            signals.request());
  const int code = run_on(port, mode, config, std::move(files), args, started, signals, affinity);
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
  const std::vector<Mode> modes = all_modes();
  try {
    rust::Box<rs::Config> config = parse(Strings(separator + 1, args.end()), modes);
    if (const rust::String help = config->help_text(); !help.empty()) {
      return print(help) ? kSuccess : kFailure;
    }
    const StopSignals signals;
    Affinity affinity;
    const std::string name(config->options().mode);
    const auto mode = std::ranges::find(modes, name, &Mode::name);
    return run_mode(*mode, *config, args, eal_args, signals, affinity);
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
