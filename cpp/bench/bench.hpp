#pragma once

#include <cstdint>
#include <string_view>

namespace dpdkproj {

/// Prints as JSON the cost of each bridge call per packet, measuring each for `seconds`. Runs only
/// the variant `only`, unless it is empty. Throws if the packets did not take the path of valid
/// ones.
void bench_bridge(double seconds, std::string_view only);

/// Prints as JSON the time for passing a cache line from one CPU to the other and back.
void bench_ping_pong(unsigned first, unsigned second);

/// Prints as JSON how long a thread on `cpu` that only reads the TSC is interrupted within
/// `seconds`: a lower bound for the stalls of a sender there.
void bench_stalls(double seconds, unsigned cpu);

/// Pins the calling thread to `cpu`. Throws if that is impossible.
void pin_to(unsigned cpu);

}  // namespace dpdkproj
