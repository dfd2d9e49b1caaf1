#include "proxy/session/waiter.h"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

namespace pgsteer {

void Waiter::Awaiter::await_suspend(std::coroutine_handle<> coroutine) {
  waiter.waiting_ = coroutine;
  waiter.awaited_ = watch;
  if (watch != nullptr && !waiter.loop_.poller().want(*watch, events)) {
    waiter.end(EndReason::kNoResources);
    waiter.resume_soon();
  }
}

bool Waiter::Awaiter::await_resume() {
  waiter.awaited_ = nullptr;
  return !waiter.interrupted();
}

void Waiter::end(EndReason why, std::string detail) {
  if (ending()) return;
  reason_ = why;
  if (!detail.empty()) explain(std::move(detail));
  resume_soon();
}

void Waiter::conclude(EndReason why) {
  if (!ending()) reason_ = why;
}

bool Waiter::take_back_role_lost() {
  if (!may_search_again_ || reason_ != EndReason::kRoleLost) return false;
  reason_ = EndReason::kNone;
  detail_.reset();
  loop_.forget(*this);  // that wakeup was for the end
  return true;
}

void Waiter::explain(std::string detail) {
  if (!detail_) detail_ = std::make_unique<std::string>(std::move(detail));
}

void Waiter::resume() {
  if (waiting_) std::exchange(waiting_, nullptr).resume();
}

void Waiter::receive(Watch& watch) {
  watch.owner = this;
  watch.ready = [](void* owner, Watch& ready, std::uint32_t events) {
    static_cast<Waiter*>(owner)->on_ready(ready, events);
  };
}

void Waiter::on_ready(Watch& watch, std::uint32_t events) {
  watch.missed |= events;
  if (awaited_ == &watch) return resume();
  if (ending_phase_) {
    if (!wakeup_pending()) resume();
    return;
  }
  // The server may be ready while nobody waits for it: whoever reads next will see it.
  if (client_ != nullptr && &watch == &client_->watch) notice_client(events);
}

// The client did something although it is not its turn: it has gone, or it sends ahead.
void Waiter::notice_client(std::uint32_t events) {
  std::byte one{};
  const ssize_t n = ::recv(client_->fd(), &one, 1, MSG_PEEK | MSG_DONTWAIT);
  const bool gone = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
  if (gone || n == 0 || (n < 0 && errno != EAGAIN)) end(EndReason::kClientLeft);
}

}  // namespace pgsteer
