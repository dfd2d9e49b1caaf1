#include "proxy/cancel.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

#include "proxy/first_packet.h"

namespace pgsteer {

namespace {

void put_u32(std::vector<std::byte>& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8)
    out.push_back(static_cast<std::byte>(value >> shift));
}

}  // namespace

std::vector<std::byte> encode_cancel_request(std::uint32_t pid, std::span<const std::byte> key) {
  std::vector<std::byte> packet;
  put_u32(packet, static_cast<std::uint32_t>(kCancelRequestHead + key.size()));
  put_u32(packet, kCancelRequestCode);
  put_u32(packet, pid);
  packet.insert(packet.end(), key.begin(), key.end());
  return packet;
}

Cancel::Cancel(Poller& poller, const std::vector<Address>& to, std::vector<std::byte> packet,
               std::function<void()> done)
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
    const auto* raw = reinterpret_cast<const sockaddr*>(&address.storage);
    if (::connect(leg->watch.fd.get(), raw, address.size) != 0 && errno != EINPROGRESS) continue;
    if (!poller_.want(leg->watch, EPOLLOUT)) continue;
    legs_.push_back(std::move(leg));
    ++open_;
  }
}

Cancel::~Cancel() {
  for (auto& leg : legs_) poller_.close(leg->watch);
}

void Cancel::step(Leg& leg, std::uint32_t events) {
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

void Cancel::close(Leg& leg) {
  poller_.close(leg.watch);
  if (--open_ == 0 && done_) std::exchange(done_, nullptr)();
}

}  // namespace pgsteer
