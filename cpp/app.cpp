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
#include <iterator>
#include <optional>
#include <thread>

#include "dataplane/dataplane.hpp"
#include "dataplane/impair.hpp"
#include "dataplane/mode.hpp"
#include "dataplane/terminal.hpp"
#include "dpdk/eal.hpp"
#include "dpdk/error.hpp"
#include "dpdk/hints.hpp"
#include "dpdk/mempool.hpp"
#include "dpdk/rss.hpp"
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

std::string to_string(const rust::String& string) { return std::string(string); }

rust::Box<rs::Config> parse(const Strings& eal_args, const Strings& args,
                            const std::vector<Mode>& modes) {
  rust::Vec<rs::Mode> infos;
  for (const Mode& mode : modes) {
    infos.push_back(to_rust(mode));
  }
  return rs::parse_args(to_rust(eal_args), to_rust(args), std::move(infos));
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

rs::PortEnd end_of(const ServedPort& served) {
  const Port& port = served.port;
  rust::Vec<rs::PortCounter> counters;
  for (const auto& [name, value] : port.counters()) {
    counters.push_back({name, value});
  }
  const TxOffloads by_port = port.offloads();
  return {.name = port.name(),
          .driver = port.driver(),
          .delivered = port.delivered(),
          .accepted = port.accepted(),
          .control_sent = served.slow_path.sent(),
          .counters = std::move(counters),
          .is_removed = port.is_removed(),
          .offloads = {by_port.ipv4, by_port.udp, by_port.vlan}};
}

/// What only C++ knows about the run that began at `started_unix_ns` by the system clock and ended
/// at `now_ns`.
rs::End end_of(const ServedPorts& ports, uint64_t started_unix_ns, uint64_t now_ns) {
  rs::End end{.now_ns = now_ns,
              .ports = {},
              .dpdk_version = rte_version(),
              .started_unix_ns = started_unix_ns,
              .clock_sync = {}};
  if (const std::optional<ClockSync> sync = ClockSync::read()) {
    end.clock_sync = {true, sync->synchronised, sync->max_error_us, sync->estimated_error_us};
  }
  for (const ServedPort& served : ports) {
    end.ports.push_back(end_of(served));
  }
  return end;
}

/// `port 0`, or `ports 0, 1`.
std::string names(const ServedPorts& ports) {
  std::string names = ports.size() > 1 ? "ports " : "port ";
  for (const ServedPort& served : ports) {
    names += (&served == &ports.front() ? "" : ", ") + std::to_string(served.port.id());
  }
  return names;
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

/// Multicast addresses that the mode's own addresses are asked at.
std::vector<rte_ether_addr> multicast(const rs::Options& options) {
  std::vector<rte_ether_addr> addresses;
  for (const rs::MacAddress& mac : options.multicast) {
    rte_ether_addr address;
    std::memcpy(address.addr_bytes, mac.bytes.data(), sizeof address.addr_bytes);
    addresses.push_back(address);
  }
  return addresses;
}

/// Ends the process if closing the port takes too long. The driver of a removed device may try for
/// half a minute to stop it (e1000). All results are written by now, and the memory of the driver
/// ends with the process.
void end_soon(int code) {
  static constexpr std::chrono::seconds kTimeout{2};
  std::thread([code] {
    std::this_thread::sleep_for(kTimeout);
    std::fprintf(stderr,
                 "dpdkproj: the removed device did not stop within 2 s: exiting without it\n");
    std::_Exit(code);
  }).detach();
}

/// Announces the next run, unless it is one of many, and runs it.
void run_once(const Mode& mode, Dataplane& dataplane) {
  const std::string name(mode.name);
  const rs::Next& next = dataplane.next();
  if (dataplane.options().trials) {
    mode.run(dataplane);
    return;
  }
  if (next.stage == rs::Stage::Measurement) {
    // A run that is stopped before it starts still writes results, so that those of an earlier run
    // are not mistaken for its own.
    std::fprintf(stderr, "dpdkproj: %s %s on %s\n", name.c_str(),
                 dataplane.stop().is_made() ? "was stopped before it began" : "runs",
                 names(dataplane.ports()).c_str());
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
  if (finished.summary.empty() && has_files) {
    return code;
  }
  const bool is_said = std::fprintf(stderr, "%s\n", std::string(finished.summary).c_str()) > 0;
  // With stderr closed and no result file, the results would be lost.
  return is_said || has_files || code != kSuccess ? code : kFailure;
}

/// The CPUs on which workers will poll.
Cpus polling_cpus(const rs::Options& options, std::size_t ports) {
  std::vector<unsigned> lcores = all_lcores();
  const std::size_t workers = ports * (std::size_t{options.rx_queues} + options.tx_queues);
  lcores.resize(std::clamp<std::size_t>(workers, 1, lcores.size()));
  return cpus_of(lcores);
}

/// Waits for the links of all ports. Returns false, after an error message, if one stays down.
bool wait_for_links(const ServedPorts& ports, std::chrono::milliseconds timeout,
                    const StopRequest& stop) {
  const auto is_up = [timeout, &stop](const ServedPort& served) {
    return served.port.wait_for_link(timeout, stop) || stop.is_made();
  };
  const auto down = std::ranges::find_if_not(ports, is_up);
  if (down == ports.end()) {
    return true;
  }
  const std::string whose =
      ports.size() > 1 ? "the link of port " + down->port.name() : "the port's link";
  std::fprintf(stderr,
               "dpdkproj: %s has been down for %s: start the peer first, choose another port "
               "with -p, or raise --wait-link\n",
               whose.c_str(), in_seconds(timeout).c_str());
  return false;
}

/// The speed of the slowest link in Mbit/s; 0 if a driver does not report it.
uint32_t slowest_mbps(const ServedPorts& ports) {
  uint32_t slowest = UINT32_MAX;
  for (const ServedPort& served : ports) {
    slowest = std::min(slowest, served.port.link_mbps());
  }
  return slowest;
}

/// How the ports spread packets over rx queues.
rust::Vec<rs::PortRss> rss_of(const ServedPorts& ports) {
  rust::Vec<rs::PortRss> all;
  for (const ServedPort& served : ports) {
    const Rss rss = read_rss(served.port.id()).value_or(Rss{});
    rs::PortRss known{};
    std::ranges::copy(rss.key, std::back_inserter(known.key));
    std::ranges::copy(rss.table, std::back_inserter(known.table));
    all.push_back(std::move(known));
  }
  return all;
}

/// Whether the kernel waits for us to release the device, which is being unplugged. Every run then
/// ends.
bool is_removal_requested(const ServedPort& served) {
  return served.port.watch().is_removal_requested();
}

/// Waits for the links, and executes all runs of the session on `ports`. Returns the exit code.
int run_on(ServedPorts& ports, const Mode& mode, const rs::Options& options, rs::Session& session,
           const ClockReading& started, const StopSignals& signals, Affinity& affinity) {
  if (mode.needs_link &&
      !wait_for_links(ports, std::chrono::milliseconds(options.wait_link_ms), signals.request())) {
    return kFailure;
  }
  if (!signals.requested()) {
    // After a stop, nothing is sent, so neither the link speed nor further requests are needed.
    std::optional<Affinity::Guest> guest;
    if (options.trials) {
      affinity.leave_to_lcores(polling_cpus(options, ports.size()));
      guest.emplace(affinity);  // the thread that reads requests is no lcore
    }
    session.link_is_up(slowest_mbps(ports), rss_of(ports));
  }
  if (options.trials) {
    std::fprintf(stderr, "dpdkproj: %s takes requests on stdin\n", std::string(mode.name).c_str());
  }
  const Clock clock(started, signals.request());
  std::vector<rs::MacAddress> macs;
  for (const ServedPort& served : ports) {
    macs.push_back({served.port.mac()});
  }
  int code = kSuccess;
  for (;;) {
    rs::Next next{};
    try {
      const bool is_stopped =
          signals.requested() || std::ranges::any_of(ports, is_removal_requested);
      next = session.next({macs.data(), macs.size()}, is_stopped);
    } catch (const rust::Error& error) {
      std::fprintf(stderr, "dpdkproj: %s\n", error.what());
      return kFailure;
    }
    if (next.stage == rs::Stage::Nothing) {
      return code;
    }
    if (next.stage == rs::Stage::Waiting) {
      continue;
    }
    if (next.stage == rs::Stage::NoPeer) {
      return kNoPeer;
    }
    Dataplane dataplane(ports, session, next, options, clock, signals, affinity);
    const uint64_t started_unix_ns = unix_ns() - dataplane.clock().now_ns();
    run_once(mode, dataplane);
    if (next.stage == rs::Stage::Measurement) {
      const uint64_t end_ns = dataplane.clock().now_ns();
      const rs::Finished finished = session.finish(end_of(ports, started_unix_ns, end_ns));
      code = std::max(code, report(finished, options.has_files));
    }
  }
}

void print_hints(const std::vector<std::string>& hints) {
  for (const std::string& hint : hints) {
    std::fprintf(stderr, "dpdkproj: hint: %s\n", hint.c_str());
  }
}

/// Prints why nothing can be measured, and what is known of the messages that EAL and drivers
/// printed before. Returns `code`.
int fail(const char* why, int code) {
  std::fprintf(stderr, "dpdkproj: %s\n", why);
  print_hints(hints(kept_log()));
  return code;
}

int run_mode(const Mode& mode, const rs::Config& config, const rs::Options& options,
             const Strings& args, const Strings& eal_args, const StopSignals& signals,
             Affinity& affinity) {
  const ClockReading started = ClockReading::take();
  rust::Box<rs::Session> session = rs::open_session(config, to_rust(args));
  redirect_stdout_to_stderr();

  const Eal eal(eal_args);
  const std::vector<PortInfo> infos = find_ports({options.ports.begin(), options.ports.end()});
  for (const PortInfo& info : infos) {
    session->check_port({info.max_rx_queues, info.max_tx_queues, std::min(info.mtu, kLargestSent),
                         info.min_mtu, std::min(info.max_mtu, kLargestSent)});
  }
  const std::chrono::milliseconds wait_link(options.wait_link_ms);
  const std::vector<rte_ether_addr> asked_at = multicast(options);
  const PortConfig port_config{options.rx_queues,
                               options.tx_queues,
                               options.rx_descriptors,
                               options.tx_descriptors,
                               options.rx_burst,
                               options.tx_burst,
                               {options.offloads.ipv4, options.offloads.udp, options.offloads.vlan},
                               options.send_on_timestamp,
                               options.offloads.udp,
                               options.offloads_required,
                               wait_link,
                               options.impaired ? ReflectImpaired::mbufs(options.delay_ns) : 0,
                               passing_on(mode.queues),
                               options.mtu,
                               asked_at};
  ServedPorts ports;
  for (const PortInfo& info : infos) {
    ports.emplace_back(info, port_config, signals.request());
  }
  print_hints(warnings(kept_log()));
  forget_log();
  const int code = run_on(ports, mode, options, *session, started, signals, affinity);
  const auto is_removed = [](const ServedPort& served) { return served.port.is_removed(); };
  if (std::ranges::any_of(ports, is_removed)) {
    end_soon(code);
  }
  return code;
}

}  // namespace

int run_app(const Strings& args) {
  const auto separator = std::ranges::find(args, "--");
  Strings eal_args(args.begin(), separator);
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
    const Strings given_to_eal(std::min(args.begin() + 1, separator), separator);
    const rust::Box<rs::Config> config =
        parse(given_to_eal, Strings(separator + 1, args.end()), modes);
    const rs::Options options = config->options();
    if (!options.help.empty()) {
      return print(options.help) ? int{options.help_code} : int{kFailure};
    }
    if (options.live_view) {
      rescue_terminal_on_crash();
    }
    // Options from the environment and from --config now look as if they had been on the command
    // line.
    eal_args.resize(1);
    std::ranges::transform(options.eal, std::back_inserter(eal_args), to_string);
    Strings command = eal_args;
    command.emplace_back("--");
    std::ranges::transform(options.args, std::back_inserter(command), to_string);
    const StopSignals signals;
    Affinity affinity;
    const auto mode = std::ranges::find(modes, std::string(options.mode), &Mode::name);
    return run_mode(*mode, *config, options, command, eal_args, signals, affinity);
  } catch (const UsageError& error) {
    return fail(error.what(), kUsage);
  } catch (const rust::Error& error) {
    // From Rust: the request is impossible, or a result file cannot be written.
    return fail(error.what(), kUsage);
  } catch (const std::exception& error) {
    return fail(error.what(), kFailure);
  }
}

}  // namespace dpdkproj
