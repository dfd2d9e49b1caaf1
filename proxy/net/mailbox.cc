#include "proxy/net/mailbox.h"

#include <sys/eventfd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

namespace pgsteer {

Mailbox::Mailbox(Poller& poller) {
  wakeup_.fd.reset(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!wakeup_.fd) throw std::system_error(errno, std::generic_category(), "eventfd");
  wakeup_.owner = this;
  wakeup_.ready = [](void* owner, Watch&, std::uint32_t) { static_cast<Mailbox*>(owner)->run(); };
  poller.want(wakeup_, EPOLLIN);
}

void Mailbox::notify() {
  if (notified_.exchange(true, std::memory_order_seq_cst)) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto n = ::write(wakeup_.fd.get(), &one, sizeof one);
}

void Mailbox::run() {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto n = ::read(wakeup_.fd.get(), &count, sizeof count);
  // Before the tasks run: what is posted from here on notifies again.
  notified_.store(false, std::memory_order_seq_cst);
  tasks_.poll();
}

}  // namespace pgsteer
