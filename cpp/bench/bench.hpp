#pragma once

#include <cstdint>
#include <string_view>

namespace dpdkproj {

/// Prints as JSON what each call over the bridge costs per packet, measured for `seconds` each.
/// `only` one variant of them, unless it is empty. Throws where the packets did not take the path
/// of valid ones.
void bench_bridge(double seconds, std::string_view only);

/// Prints as JSON how long it takes two CPUs to hand a cache line to each other and back.
void bench_ping_pong(unsigned first, unsigned second);

/// Prints as JSON for how long a thread that does nothing but read the TSC does not get to it, in
/// `seconds` on `cpu`: no sender there can do better.
void bench_stalls(double seconds, unsigned cpu);

/// The calling thread runs on `cpu` alone from now on.
void pin_to(unsigned cpu);

}  // namespace dpdkproj
