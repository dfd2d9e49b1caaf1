#include "proxy/session/outgoing_cancel.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "proxy/net/seeded_hash.h"

namespace pgsteer {

struct OutgoingCancels::Job {
  std::vector<std::byte> packet;
  Clock::time_point until;
  std::vector<Ticket*> tickets;
  std::uint64_t hash = 0;
  std::size_t open = 0;  // nodes that it still waits for
  bool begun = false;
  bool sent = false;
};

struct OutgoingCancels::Leg {
  OutgoingCancels* cancels = nullptr;
  Lane* lane = nullptr;
  std::shared_ptr<Job> job;
  std::vector<Address> addresses;
  std::size_t next = 0;  // address
  Clock::time_point address_until{};
  Clock::time_point until{};
  Watch watch;
  bool sent = false;
  bool over = false;
};

OutgoingCancels::Ticket::~Ticket() {
  if (job_) std::erase(job_->tickets, this);
  if (cancels_ == nullptr) return;
  --cancels_->clients_;
  const auto address = cancels_->of_address_.find(client_);
  if (--address->second == 0) cancels_->of_address_.erase(address);
}

bool OutgoingCancels::Ticket::finished() const { return !job_ || job_->open == 0; }
bool OutgoingCancels::Ticket::sent() const { return job_ && job_->sent; }

OutgoingCancels::OutgoingCancels(EventLoop& loop, std::size_t nodes)
    : loop_(loop), known_(nodes), unknown_(nodes), deadlines_(loop, this, [](void* self) {
        static_cast<OutgoingCancels*>(self)->check_deadlines();
      }) {
  for (Lane& lane : known_) lane.at_once = kKnownAtOnce;
}

OutgoingCancels::~OutgoingCancels() {
  for (std::vector<Lane>* const lanes : {&known_, &unknown_}) {
    for (Lane& lane : *lanes) {
      for (auto& leg : lane.legs) loop_.poller().close(leg->watch);
    }
  }
  loop_.forget(*this);
}

bool OutgoingCancels::admit(Ticket& ticket, std::uint64_t client) {
  if (clients_ >= kMostClients) return false;
  const auto address = of_address_.find(client);
  if (address != of_address_.end() && address->second >= kMostOfAddress) return false;
  ++clients_;
  ++of_address_[client];
  ticket.cancels_ = this;
  ticket.client_ = client;
  return true;
}

std::shared_ptr<OutgoingCancels::Job> OutgoingCancels::new_job(std::vector<std::byte> packet) {
  auto job = std::make_shared<Job>();
  job->packet = std::move(packet);
  job->until = Clock::now() + kTimeout;
  return job;
}

void OutgoingCancels::send(Ticket& ticket, const KeyOwner& to, std::vector<std::byte> packet) {
  ticket.job_ = new_job(std::move(packet));
  ticket.job_->tickets.push_back(&ticket);
  enqueue(known_[to.node], ticket.job_, {to.address});
}

void OutgoingCancels::send(const KeyOwner& to, std::vector<std::byte> packet) {
  enqueue(known_[to.node], new_job(std::move(packet)), {to.address});
}

void OutgoingCancels::send_to_all(Ticket& ticket, std::vector<std::vector<Address>> to,
                                  std::vector<std::byte> packet) {
  const std::uint64_t hash = seeded_hash(packet);
  const auto known = mergeable_.find(hash);
  ticket.job_ = known != mergeable_.end() ? known->second.lock() : nullptr;
  const bool merged = ticket.job_ && !ticket.job_->begun && ticket.job_->packet == packet;
  if (!merged) ticket.job_ = new_job(std::move(packet));
  const std::shared_ptr<Job> job = ticket.job_;
  job->tickets.push_back(&ticket);
  if (merged) return;
  job->hash = hash;
  // One that has begun somewhere may have reached its statement: the same cancel, sent again, is
  // for the next one.
  mergeable_[hash] = job;
  // All at once, so that it is not done after the first node.
  job->open = 1;
  for (std::size_t i = 0; i < to.size() && i < unknown_.size(); ++i) {
    if (!to[i].empty()) enqueue(unknown_[i], job, std::move(to[i]));
  }
  part_done(*job);
}

void OutgoingCancels::enqueue(Lane& lane, const std::shared_ptr<Job>& job,
                              std::vector<Address> addresses) {
  if (Clock::now() < lane.silent_until) {
    if (job->open == 0) part_done(*job);
    return;
  }
  ++job->open;
  lane.waiting.push_back({job, std::move(addresses)});
  advance(lane);
}

// Begins what may begin.
void OutgoingCancels::advance(Lane& lane) {
  while (lane.legs.size() < lane.at_once && !lane.waiting.empty()) {
    Waiting next = std::move(lane.waiting.front());
    lane.waiting.pop_front();
    const auto now = Clock::now();
    if (now >= next.job->until || now < lane.silent_until) {
      part_done(*next.job);
      continue;
    }
    if (!std::exchange(next.job->begun, true)) mergeable_.erase(next.job->hash);
    auto leg = std::make_unique<Leg>();
    leg->cancels = this;
    leg->lane = &lane;
    leg->job = std::move(next.job);
    leg->addresses = std::move(next.addresses);
    leg->until = now + kNodeTimeout;
    leg->watch.owner = leg.get();
    leg->watch.ready = [](void* owner, Watch&, std::uint32_t events) {
      auto& ready = *static_cast<Leg*>(owner);
      ready.cancels->step(ready, events);
    };
    Leg& begun = *lane.legs.emplace_back(std::move(leg));
    connect(begun);
    if (!deadlines_.armed()) deadlines_.set_after(EventLoop::kTick);
  }
}

// To its next address; each has its part of the time.
void OutgoingCancels::connect(Leg& leg) {
  loop_.poller().close(leg.watch);
  while (leg.next < leg.addresses.size()) {
    const std::size_t left = leg.addresses.size() - leg.next;
    const Address& address = leg.addresses[leg.next++];
    const auto now = Clock::now();
    leg.address_until = now + (leg.until - now) / static_cast<int>(left);
    leg.watch.fd.reset(
        ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!leg.watch.fd) continue;
    const int connected = ::connect(leg.watch.fd.get(), address.raw(), address.size);
    if (connected != 0 && errno != EINPROGRESS) continue;
    if (loop_.poller().want(leg.watch, EPOLLOUT)) return;
  }
  end(leg);
}

void OutgoingCancels::step(Leg& leg, std::uint32_t events) {
  if (leg.over) return;
  if ((events & EPOLLERR) != 0) return leg.sent ? end(leg) : connect(leg);
  if (!leg.sent) {
    // At most 268 bytes into an empty socket buffer: they go whole or the connection failed.
    const std::vector<std::byte>& packet = leg.job->packet;
    const ssize_t n = ::send(leg.watch.fd.get(), packet.data(), packet.size(), MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN ? void() : connect(leg);
    leg.sent = leg.job->sent = true;
    if (!loop_.poller().want(leg.watch, EPOLLIN)) end(leg);
    return;
  }
  std::array<std::byte, 64> ignored;
  const ssize_t n = ::recv(leg.watch.fd.get(), ignored.data(), ignored.size(), MSG_DONTWAIT);
  if (n == 0 || (n < 0 && errno != EAGAIN)) end(leg);
}

// Destroyed later: this may be called for it.
void OutgoingCancels::end(Leg& leg) {
  if (std::exchange(leg.over, true)) return;
  loop_.poller().close(leg.watch);
  loop_.wake(*this);
}

void OutgoingCancels::part_done(Job& job) {
  if (job.open > 0 && --job.open > 0) return;
  if (!job.begun) mergeable_.erase(job.hash);
  for (Ticket* const ticket : job.tickets) ticket->done_();
}

void OutgoingCancels::tidy() {
  for (std::vector<Lane>* const lanes : {&known_, &unknown_}) {
    for (Lane& lane : *lanes) {
      for (std::size_t i = 0; i < lane.legs.size();) {
        if (!lane.legs[i]->over) {
          ++i;
          continue;
        }
        const std::shared_ptr<Job> job = std::move(lane.legs[i]->job);
        lane.legs.erase(lane.legs.begin() + static_cast<std::ptrdiff_t>(i));
        part_done(*job);
      }
      advance(lane);
    }
  }
}

void OutgoingCancels::check_deadlines() {
  const auto now = Clock::now();
  bool any = false;
  for (std::vector<Lane>* const lanes : {&known_, &unknown_}) {
    for (Lane& lane : *lanes) {
      for (auto& leg : lane.legs) {
        any = true;
        if (leg->over) continue;
        if (now >= leg->until) {
          if (!leg->sent) lane.silent_until = now + kSilence;
          end(*leg);
        } else if (!leg->sent && now >= leg->address_until) {
          connect(*leg);
        }
      }
    }
  }
  if (any) deadlines_.set_after(EventLoop::kTick);
}

}  // namespace pgsteer
