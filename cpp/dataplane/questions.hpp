#pragma once

#include <rte_mbuf.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "dpdk/burst.hpp"
#include "dpdk/queue.hpp"
#include "dpdkproj_rs/ffi.h"

namespace dpdkproj {

/// Questions to a reflector's worker, until all other workers have counted what they did before
/// they came: mostly no longer than these take for one burst.
class Questions final {
 public:
  /// More of them are freed: who gets no answer asks again.
  static constexpr uint16_t kMost = 64;

  bool empty() const noexcept { return size_ == 0; }

  /// Takes one that arrived at `now_ns`, and that Rust has turned round.
  void take(rte_mbuf* question, uint64_t now_ns) noexcept {
    if (size_ == kMost) {
      rte_pktmbuf_free(question);
      return;
    }
    held_[size_++] = {question, now_ns};
  }

  /// Answers those whose time has come. What the driver does not take is freed, likewise.
  void answer(rs::Reflector& reflector, TxQueue& queue) noexcept {
    Burst answers;
    uint16_t done = 0;
    // Who came first has waited longest.
    for (; done < size_ && reflector.may_answer(held_[done].arrived_ns); ++done) {
      rte_mbuf* mbuf = held_[done].mbuf;
      rs::Frame frame{rte_pktmbuf_mtod(mbuf, uint8_t*), mbuf->data_len, 0, 0,
                      rs::Verdict::Question};
      if (reflector.answer(frame)) {
        answers.mbufs[answers.size++] = mbuf;
      } else {
        rte_pktmbuf_free(mbuf);
      }
    }
    if (answers.size > 0) {
      reflector.answered(queue.send(answers));
    }
    if (done > 0) {
      std::copy(held_.begin() + done, held_.begin() + size_, held_.begin());
      size_ = static_cast<uint16_t>(size_ - done);
    }
  }

  /// Frees all of them.
  void clear() noexcept {
    for (; size_ > 0; --size_) {
      rte_pktmbuf_free(held_[size_ - 1].mbuf);
    }
  }

 private:
  struct Held {
    rte_mbuf* mbuf;
    uint64_t arrived_ns;
  };

  std::array<Held, kMost> held_{};
  uint16_t size_ = 0;
};

}  // namespace dpdkproj
