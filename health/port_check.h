// One look at PostgreSQL's port: a non-blocking socket that connects, does one exchange and closes.
// Owned by the checker thread, which polls it. Never blocks.
#pragma once

#include <poll.h>

#include <cstdint>
#include <vector>

#include "health/evidence.h"

namespace pgsteer {

class PortCheck {
 public:
  // ProbeKind::kDatabase: connects, closes its own direction and waits for the server to close as
  // well. A postmaster that lives does so without a line in its log (an end of file before the
  // first byte is not worth one, postmaster.c ProcessStartupPacket); a stopped or frozen one never
  // does. ProbeKind::kTls: sends an SSLRequest and reads the one byte of the answer.
  PortCheck(std::size_t node, ProbeKind kind, std::vector<Address> addresses, Instant now,
            Instant deadline);
  ~PortCheck();
  PortCheck(const PortCheck&) = delete;
  PortCheck& operator=(const PortCheck&) = delete;

  int fd() const { return fd_; }
  short events() const { return connected_ ? POLLIN : POLLOUT; }
  Instant deadline() const { return deadline_; }

  // Does what can be done; the evidence once it is over.
  std::optional<Evidence> step(Instant now);

 private:
  void connect_next();
  void drop();
  void finish_connect();
  void exchange();
  void end(DatabaseAnswer answer, TlsAnswer tls);

  std::size_t node_;
  ProbeKind kind_;
  std::vector<Address> addresses_;  // still to be tried, last one first
  Instant began_;
  Instant deadline_;
  int fd_ = -1;
  bool connected_ = false;
  bool over_ = false;
  DatabaseAnswer answer_ = DatabaseAnswer::kUnreachable;
  TlsAnswer tls_ = TlsAnswer::kUnknown;
};

}  // namespace pgsteer
