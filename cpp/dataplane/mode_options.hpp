#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "dpdkproj_rs/ffi.h"

namespace dpdkproj {

/// The values of the mode's own options. Each call throws a UsageError if the mode has not
/// registered an option of that name and kind.
class ModeOptions {
 public:
  explicit ModeOptions(const rs::Options& options) : options_(options) {}

  /// Whether the flag was given.
  bool flag(std::string_view name) const;
  uint64_t number(std::string_view name) const;
  uint64_t duration_ns(std::string_view name) const;
  std::string text(std::string_view name) const;

 private:
  const rs::OptionValue& value(std::string_view name, rs::OptionKind kind) const;

  const rs::Options& options_;
};

}  // namespace dpdkproj
