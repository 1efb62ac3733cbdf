#pragma once

#include <gtest/gtest.h>
#include <rte_mbuf.h>

#include "dpdk/mempool.hpp"

namespace dpdkproj {

/// A pool of `count` mbufs without a cache.
inline Mempool make_test_pool(unsigned count) {
  Mempool pool(rte_pktmbuf_pool_create("test", count, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0));
  EXPECT_NE(pool, nullptr);
  return pool;
}

}  // namespace dpdkproj
