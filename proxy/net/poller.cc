#include "proxy/net/poller.h"

#include <cerrno>
#include <system_error>
#include <utility>

namespace pgsteer {

Poller::Poller() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (!epoll_) throw std::system_error(errno, std::generic_category(), "epoll_create1");
}

bool Poller::want(Watch& watch, std::uint32_t events) {
  if (watch.added && watch.interest == events && events != 0) return true;
  epoll_event event{};
  event.events = events;
  event.data.ptr = &watch;
  const int op = watch.added ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  if (::epoll_ctl(epoll_.get(), op, watch.fd.get(), &event) != 0) return false;
  watch.interest = events;
  watch.added = true;
  return true;
}

bool Poller::want_again(Watch& watch) {
  const std::uint32_t events = std::exchange(watch.interest, 0);
  return want(watch, events);
}

void Poller::close(Watch& watch) {
  // Closing the last descriptor of a socket removes it from the set.
  watch.fd.reset();
  watch.added = false;
  watch.interest = watch.missed = 0;
  for (int i = 0; i < fetched_; ++i) {
    if (events_[static_cast<std::size_t>(i)].data.ptr == &watch) {
      events_[static_cast<std::size_t>(i)].data.ptr = nullptr;
    }
  }
}

void Poller::wait(int timeout_ms) {
  fetched_ = ::epoll_wait(epoll_.get(), events_.data(), kBatch, timeout_ms);
}

bool Poller::dispatch() {
  for (int i = 0; i < fetched_; ++i) {
    auto* watch = static_cast<Watch*>(events_[static_cast<std::size_t>(i)].data.ptr);
    if (watch == nullptr || watch->ready == nullptr) continue;
    watch->ready(watch->owner, *watch, events_[static_cast<std::size_t>(i)].events);
  }
  return std::exchange(fetched_, 0) == kBatch;
}

}  // namespace pgsteer
