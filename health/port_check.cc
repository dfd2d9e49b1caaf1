#include "health/port_check.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "health/local_fault.h"
#include "proxy/wire/first_packet.h"

namespace pgsteer {

PortCheck::PortCheck(std::size_t node, ProbeKind kind, std::vector<Address> addresses, Instant now,
                     Instant deadline)
    : node_(node), kind_(kind), addresses_(std::move(addresses)), began_(now), deadline_(deadline) {
  std::reverse(addresses_.begin(), addresses_.end());
  connect_next();
}

PortCheck::~PortCheck() { drop(); }

void PortCheck::drop() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

void PortCheck::end(DatabaseAnswer answer, TlsAnswer tls) {
  answer_ = answer;
  tls_ = tls;
  over_ = true;
  drop();
}

void PortCheck::connect_next() {
  drop();
  while (!addresses_.empty()) {
    Address address = addresses_.back();
    addresses_.pop_back();
    fd_ = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd_ < 0) {
      if (is_local_fault(errno)) local_fault_ = errno;
      continue;
    }
    auto* where = reinterpret_cast<const sockaddr*>(&address.storage);
    if (::connect(fd_, where, address.size) == 0 || errno == EINPROGRESS) return;
    if (errno == ECONNREFUSED) answer_ = DatabaseAnswer::kRefused;
    drop();
  }
  // Another address may have answered; silence of those that were not asked says nothing.
  const bool local = local_fault_ != 0 && answer_ == DatabaseAnswer::kUnreachable;
  end(local ? DatabaseAnswer::kUnknown : answer_, TlsAnswer::kUnknown);
}

void PortCheck::finish_connect() {
  pollfd poll_for{fd_, POLLOUT, 0};
  if (::poll(&poll_for, 1, 0) <= 0) return;
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) {
    answer_ = error == ECONNREFUSED ? DatabaseAnswer::kRefused : DatabaseAnswer::kUnreachable;
    return connect_next();
  }
  connected_ = true;
  if (kind_ == ProbeKind::kDatabase) {
    ::shutdown(fd_, SHUT_WR);
    return;
  }
  if (::send(fd_, kSslRequestPacket.data(), kSslRequestPacket.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(kSslRequestPacket.size())) {
    end(DatabaseAnswer::kUnreachable, TlsAnswer::kUnknown);
  }
}

void PortCheck::exchange() {
  char byte = 0;
  const auto got = ::recv(fd_, &byte, 1, 0);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
  // A close, a byte or a reset: only a live server does any of these.
  TlsAnswer tls = TlsAnswer::kUnknown;
  if (got == 1 && byte == 'S') tls = TlsAnswer::kYes;
  if (got == 1 && byte == 'N') tls = TlsAnswer::kNo;
  end(DatabaseAnswer::kAnswers, tls);
}

std::optional<Evidence> PortCheck::step(Instant now) {
  if (!over_ && !connected_) finish_connect();
  if (!over_ && connected_) exchange();
  if (!over_ && now >= deadline_) {
    end(connected_ ? DatabaseAnswer::kHung : DatabaseAnswer::kUnreachable, TlsAnswer::kUnknown);
  }
  if (!over_) return std::nullopt;
  if (kind_ == ProbeKind::kTls) return TlsEvidence{node_, tls_};
  const bool local = answer_ == DatabaseAnswer::kUnknown;
  return DatabaseEvidence{node_, began_, now, answer_,
                          local ? std::strerror(local_fault_) : std::string()};
}

}  // namespace pgsteer
