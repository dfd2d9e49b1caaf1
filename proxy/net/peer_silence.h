// Tells a peer that is gone from one that is alive and does not read.
//
// TCP_USER_TIMEOUT cannot: the kernel applies it to the probes of a closed window as well, so it
// ends the healthy connection of a client that pauses for longer (measured on Linux 6.18). Here a
// peer is gone if it has been sent something, data or a window probe, at least twice, and has been
// silent ever since for the given time. An answer of any kind shows that it lives. Where nothing
// was sent, TCP keepalive looks.
//
// Twice, because one packet may be lost, and because Linux answers at most two probes a second
// (tcp_invalid_ratelimit). The kernel probes a closed window at growing intervals, two minutes at
// most (TCP_RTO_MAX). A peer that vanishes while its window is closed is found up to four minutes
// later.
#pragma once

#include <chrono>
#include <optional>

namespace pgsteer {

// What became of the bytes that were written to a connection.
struct Delivery {
  bool outstanding = false;   // some are not acknowledged, or not sent
  bool unanswered = false;    // something was sent after the last segment that came from the peer
  bool probed_twice = false;  // two window probes at least were
  std::chrono::milliseconds heard_ago{0};  // when that segment came
  std::chrono::milliseconds sent_ago{0};   // when data was sent, for the first time or again
};

// Asks the kernel, which costs a system call. Empty if `fd` is no TCP connection. Any thread.
std::optional<Delivery> delivery_of(int fd);

// One connection's silence, from looks at it that are repeated. Pure; owned by a session, used on
// its worker's thread.
class PeerSilence {
 public:
  using Clock = std::chrono::steady_clock;

  // True: the peer is gone, silent for `limit` and to a repetition. Silence counts from the first
  // look that saw it, and not from before `counts_from`: while the process stood still nobody
  // looked.
  bool look(const Delivery& seen, Clock::time_point now, Clock::time_point counts_from,
            Clock::duration limit);
  // At the last look.
  bool outstanding() const { return outstanding_; }

 private:
  Clock::time_point since_{};  // of the clock's epoch: not silent
  bool outstanding_ = false;
};

}  // namespace pgsteer
