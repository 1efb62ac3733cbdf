// What drivers require of the numbers of queues.

#include "dpdk/queue_rules.hpp"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>

#include "dpdk/error.hpp"

namespace dpdkproj {
namespace {

/// The number of tx queues, or the error message.
std::string needed(std::string_view driver, uint16_t rx, uint16_t tx) {
  try {
    return std::to_string(tx_queues_needed(queue_rules(driver), 3, rx, tx));
  } catch (const UsageError& error) {
    return error.what();
  }
}

TEST(QueueRules, OfMostDriversAreNone) {
  EXPECT_EQ(needed("mlx5_pci", 15, 1), "1");
  EXPECT_EQ(needed("net_ena", 3, 5), "5");
  EXPECT_EQ(needed("net_null", 7, 0), "0");
}

TEST(QueueRules, MayAskForPowersOfTwo) {
  for (const uint16_t rx : std::initializer_list<uint16_t>{1, 2, 4, 8, 16}) {
    EXPECT_EQ(needed("net_vmxnet3", rx, 3), "3");
  }
  EXPECT_EQ(needed("net_vmxnet3", 15, 1),
            "-r 15: port 3 (net_vmxnet3) has only numbers of rx queues that are a power of two; "
            "give -r 8 or -r 16");
  EXPECT_EQ(needed("net_mana", 3, 3),
            "-r 3: port 3 (net_mana) has only numbers of rx queues that are a power of two; give "
            "-r 2 or -r 4");
}

TEST(QueueRules, MayAskForAsManyTxQueues) {
  for (const char* driver : {"net_mana", "net_af_xdp", "net_tap"}) {
    EXPECT_EQ(needed(driver, 4, 4), "4");
    EXPECT_EQ(needed(driver, 4, 1), "4") << "the others stay unused";
    EXPECT_EQ(needed(driver, 1, 0), "1");
    EXPECT_EQ(needed(driver, 2, 3), "-r 2 -t 3: port 3 (" + std::string(driver) +
                                        ") has as many tx as rx queues, and receives on all of "
                                        "them; lower -t or raise -r");
  }
}

}  // namespace
}  // namespace dpdkproj
