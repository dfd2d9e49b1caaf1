// One check of PostgreSQL's port: a non-blocking socket that connects, does one exchange and
// closes. Owned by the checker thread, which polls it. Never blocks.
#pragma once

#include <poll.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "health/evidence.h"

namespace pgsteer {

class PortCheck {
 public:
  // ProbeKind::kDatabase: connects, shuts its sending side down and waits for the server to close.
  // A live postmaster does so and logs nothing (postmaster.c, ProcessStartupPacket, does not report
  // an end of file before the first byte); a stopped or frozen one never does.
  // ProbeKind::kTls: sends an SSLRequest and reads the one byte of the answer.
  PortCheck(std::size_t node, ProbeKind kind, std::vector<Address> addresses, Instant now,
            Instant deadline);
  ~PortCheck();
  PortCheck(const PortCheck&) = delete;
  PortCheck& operator=(const PortCheck&) = delete;

  // As RestClient::renumber(); false: its node is gone.
  bool renumber(std::span<const std::optional<std::size_t>> nodes) {
    const auto to = nodes[node_];
    node_ = to.value_or(0);
    return to.has_value();
  }
  int fd() const { return fd_; }
  short events() const { return connected_ ? POLLIN : POLLOUT; }
  Instant deadline() const { return deadline_; }

  // Makes progress without blocking. Returns the evidence once the check has ended.
  std::optional<Evidence> step(Instant now);

 private:
  void connect_next();
  void drop();
  void finish_connect();
  void exchange();
  void end(DatabaseAnswer answer, TlsAnswer tls);

  std::size_t node_;
  ProbeKind kind_;
  std::vector<Address> addresses_;  // not tried yet; the last one is next
  Instant began_;
  Instant deadline_;
  int fd_ = -1;
  bool connected_ = false;
  bool over_ = false;
  int local_fault_ = 0;  // an errno of socket()
  DatabaseAnswer answer_ = DatabaseAnswer::kUnreachable;
  TlsAnswer tls_ = TlsAnswer::kUnknown;
};

}  // namespace pgsteer
