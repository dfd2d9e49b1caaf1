#include "proxy/session/outgoing_cancel.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

namespace pgsteer {

OutgoingCancel::OutgoingCancel(Poller& poller, const std::vector<Address>& to,
                               std::vector<std::byte> packet, std::function<void()> done)
    : poller_(poller), packet_(std::move(packet)), done_(std::move(done)) {
  for (const Address& address : to) {
    auto leg = std::make_unique<Leg>();
    leg->cancel = this;
    leg->watch.owner = leg.get();
    leg->watch.ready = [](void* owner, Watch&, std::uint32_t events) {
      auto& ready = *static_cast<Leg*>(owner);
      ready.cancel->step(ready, events);
    };
    leg->watch.fd.reset(
        ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!leg->watch.fd) continue;
    const int connected = ::connect(leg->watch.fd.get(), address.raw(), address.size);
    if (connected != 0 && errno != EINPROGRESS) continue;
    if (!poller_.want(leg->watch, EPOLLOUT)) continue;
    legs_.push_back(std::move(leg));
    ++open_;
  }
}

OutgoingCancel::~OutgoingCancel() {
  for (auto& leg : legs_) poller_.close(leg->watch);
}

void OutgoingCancel::step(Leg& leg, std::uint32_t events) {
  if ((events & EPOLLERR) != 0) return close(leg);
  if (!leg.sent) {
    // At most 268 bytes into an empty socket buffer: they go whole or the connection failed.
    const ssize_t n = ::send(leg.watch.fd.get(), packet_.data(), packet_.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN) return;
    leg.sent = true;
    if (n < 0 || !poller_.want(leg.watch, EPOLLIN)) close(leg);
    return;
  }
  std::array<std::byte, 64> ignored;
  const ssize_t n = ::recv(leg.watch.fd.get(), ignored.data(), ignored.size(), MSG_DONTWAIT);
  if (n == 0 || (n < 0 && errno != EAGAIN)) close(leg);
}

void OutgoingCancel::close(Leg& leg) {
  poller_.close(leg.watch);
  if (--open_ == 0 && done_) std::exchange(done_, nullptr)();
}

void StatementCancels::send(const Address& to, std::vector<std::byte> packet) {
  running_.push_back({std::make_unique<OutgoingCancel>(loop_.poller(), std::vector<Address>{to},
                                                       std::move(packet), nullptr),
                      Timer::Clock::now() + kCancelTimeout});
  if (!sweep_.armed()) sweep_.set_after(EventLoop::kTick);
}

void StatementCancels::sweep(void* owner) {
  auto& self = *static_cast<StatementCancels*>(owner);
  const auto now = Timer::Clock::now();
  std::erase_if(self.running_,
                [now](const Running& r) { return r.cancel->finished() || now >= r.until; });
  if (!self.running_.empty()) self.sweep_.set_after(EventLoop::kTick);
}

}  // namespace pgsteer
