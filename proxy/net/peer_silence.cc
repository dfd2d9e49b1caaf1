#include "proxy/net/peer_silence.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>

namespace pgsteer {

namespace {

// What was sent again may take this long to be answered.
constexpr std::chrono::milliseconds kRoundTrip{1'000};
// The kernel's times are coarse.
constexpr std::chrono::milliseconds kGrain{20};

}  // namespace

std::optional<Delivery> delivery_of(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return std::nullopt;
  Delivery seen;
  // Data does not always bring a new acknowledgement: either shows that the peer lives.
  const auto heard_ago = std::min(info.tcpi_last_ack_recv, info.tcpi_last_data_recv);
  seen.heard_ago = std::chrono::milliseconds(heard_ago);
  seen.sent_ago = std::chrono::milliseconds(info.tcpi_last_data_sent);
  // tcpi_probes: window probes without an answer. tcpi_last_data_sent counts retransmissions, too.
  seen.probed_twice = info.tcpi_probes > 1;
  seen.unanswered =
      info.tcpi_probes > 0 || (info.tcpi_unacked > 0 && info.tcpi_last_data_sent < heard_ago);
  seen.outstanding = seen.unanswered || info.tcpi_unacked > 0 || info.tcpi_notsent_bytes > 0;
  return seen;
}

bool PeerSilence::look(const Delivery& seen, Clock::time_point now, Clock::time_point counts_from,
                       Clock::duration limit) {
  outstanding_ = seen.outstanding;
  if (!seen.unanswered) {
    since_ = {};
    return false;
  }
  const bool heard = now - seen.heard_ago >= since_;
  if (since_ == Clock::time_point{} || heard || since_ < counts_from) since_ = now;
  const bool sent_again = now - seen.sent_ago > since_ + kGrain &&
                          seen.sent_ago >= std::min<Clock::duration>(limit, kRoundTrip);
  return now - since_ >= limit && (seen.probed_twice || sent_again);
}

}  // namespace pgsteer
