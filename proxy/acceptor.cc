#include "proxy/acceptor.h"

#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "proxy/net/socket_options.h"
#include "proxy/routing/route.h"

namespace pgsteer {

namespace {

// Accepted in one turn from one socket; the rest waits for the sessions' turn.
constexpr int kAcceptsPerTurn = 32;
// Until accepting is tried again after the kernel refused, and opening a port that was taken.
constexpr std::chrono::milliseconds kPause{100};
constexpr std::chrono::seconds kWarningPause{10};
// With this part of all places left, clients that have not logged in begin to give way to others;
// with half of that, without patience. Newcomers are accepted meanwhile: only then is it known
// which address they come from.
constexpr std::size_t kScarce = 8;
// Asked to leave in one turn; and where sessions have all places.
constexpr std::size_t kMostAtOnce = 64;
constexpr std::size_t kRoom = 8;

// Clients inherit the socket's options.
UniqueFd open_socket(const BindAddress& bind, const ServerConfig& server) try {
  UniqueFd fd = open_listen_socket(bind);
  if (bind.unix_path.empty()) {
    set_no_delay(fd.get());
    set_keepalive(fd.get(), server);
  }
  return fd;
} catch (const std::runtime_error& problem) {
  throw std::runtime_error(std::string("cannot listen on ") + problem.what());
}

}  // namespace

Acceptor::Acceptor(const Config& config, EventLoop& loop, std::size_t most_clients,
                   Counters& counters, HandOver hand_over, MakeRoom make_room)
    : config_(config),
      loop_(loop),
      counters_(counters),
      hand_over_(std::move(hand_over)),
      make_room_(std::move(make_room)),
      most_clients_(most_clients),
      sessions_(counters.workers),
      resume_(loop, this, [](void* self) { static_cast<Acceptor*>(self)->watch_all(true); }),
      recheck_(loop, this, [](void* self) { static_cast<Acceptor*>(self)->check_listeners(); }) {
  listeners_.reserve(config.listen.size());
  for (std::size_t i = 0; i < config.listen.size(); ++i) {
    listeners_.push_back({.limits = ConnectionLimits(config.listen[i])});
    for (const BindAddress& bind : config.listen[i].bind) {
      auto socket = std::make_unique<Socket>();
      socket->acceptor = this;
      socket->listener = i;
      socket->bind = &bind;
      socket->watch.fd = open_socket(bind, config.server);
      socket->file = socket_file(bind.unix_path);
      socket->watch.owner = socket.get();
      socket->watch.ready = [](void* owner, Watch&, std::uint32_t) {
        auto& ready = *static_cast<Socket*>(owner);
        ready.acceptor->accept_some(ready);
      };
      sockets_.push_back(std::move(socket));
    }
  }
}

Acceptor::~Acceptor() { close(); }

void Acceptor::start() { watch_all(true); }

void Acceptor::watch_all(bool on) {
  if (on) waits_for_room_ = false;
  for (auto& socket : sockets_) watch(*socket, on);
}

void Acceptor::watch(Socket& socket, bool on) {
  if (!socket.watch.fd) return;
  if (!loop_.poller().want(socket.watch, on ? static_cast<std::uint32_t>(EPOLLIN) : 0U)) {
    spdlog::error("cannot watch {}: {}", socket.bind->text, std::strerror(errno));
  }
}

bool Acceptor::from_balancer(std::size_t listener, const ClientAddress& client) const {
  const auto& networks = config_.listen[listener].proxy_protocol_from;
  return !client.unix_socket &&
         std::any_of(networks.begin(), networks.end(),
                     [&client](const Network& n) { return n.contains(client.address); });
}

void Acceptor::accept_some(Socket& socket) {
  const std::size_t before = clients_;
  accept_batch(socket);
  if (clients_ > before) make_room();
}

void Acceptor::accept_batch(Socket& socket) {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    // Only the next readiness says whether anybody else waits.
    if (clients_ >= most_clients_) return i == 0 ? wait_for_room() : void();
    Address from;
    from.size = sizeof from.storage;
    UniqueFd fd(::accept4(socket.watch.fd.get(), reinterpret_cast<sockaddr*>(&from.storage),
                          &from.size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) {
      if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) pause(socket);
      return;
    }
    AcceptedClient client{
        .fd = std::move(fd), .address = client_address_of(from), .listener = socket.listener};
    client.behind_balancer = from_balancer(socket.listener, client.address);
    if (!client.behind_balancer) {
      client.refuse = listeners_[socket.listener].limits.admit(client.address, Clock::now());
      client.counted = client.refuse == EndReason::kNone;
      if (client.refuse == EndReason::kDenied || client.refuse == EndReason::kTooFast) {
        ListenerCounters& counters = *counters_.by_listener[socket.listener];
        counters.ends[static_cast<std::size_t>(client.refuse)].fetch_add(1,
                                                                         std::memory_order_relaxed);
        continue;
      }
    }
    hand_over(std::move(client));
  }
}

void Acceptor::hand_over(AcceptedClient client) {
  const auto lightest = std::min_element(sessions_.begin(), sessions_.end());
  ++*lightest;
  ++clients_;
  hand_over_(static_cast<std::size_t>(lightest - sessions_.begin()), std::move(client));
}

// Out of descriptors or memory. The connection stays in the kernel's queue; what ends meanwhile
// makes room for it.
void Acceptor::pause(const Socket& socket) {
  counters_.accept_errors.fetch_add(1, std::memory_order_relaxed);
  spdlog::warn("cannot accept on {}: {}; pausing for {} ms", socket.bind->text,
               std::strerror(errno), kPause.count());
  watch_all(false);
  resume_.set_after(kPause);
}

// What is left belongs to the checks, the page and the log. The connections stay in the kernel's
// queue until somebody leaves.
void Acceptor::wait_for_room() {
  counters_.accept_waits.fetch_add(1, std::memory_order_relaxed);
  watch_all(false);
  waits_for_room_ = true;
  resume_.set_after(kPause);
  // Sessions may have all other places: here even a few strangers are too many.
  ask_for_room(kRoom, 0, StartupList::Need::kSoon);
}

// Sessions may use every place. Those that are left for clients without a login are shared out
// fairly.
void Acceptor::make_room() {
  const std::size_t scarce = most_clients_ / kScarce;
  const std::size_t comfortable = most_clients_ - scarce;
  if (clients_ <= comfortable) return;
  const auto now = Clock::now();
  if (now - asked_at_ >= kPause) asked_ = 0;  // there were no more to leave
  const std::size_t wanted = clients_ - comfortable;
  if (wanted <= asked_) return;
  if (asked_ == 0) asked_at_ = now;
  const std::size_t count = std::min(wanted - asked_, kMostAtOnce);
  asked_ += count;
  const bool last = most_clients_ - clients_ <= scarce / 2;
  ask_for_room(count, scarce / 2, last ? StartupList::Need::kNow : StartupList::Need::kSoon);
}

void Acceptor::ask_for_room(std::size_t count, std::size_t spared, StartupList::Need need) {
  make_room_(count, spared, need);
  const auto now = Clock::now();
  if (now < next_warning_) return;
  spdlog::warn(
      "{} clients are connected, and the limit of descriptors allows {}: those that have not "
      "logged in give way",
      clients_, most_clients_);
  next_warning_ = now + kWarningPause;
}

EndReason Acceptor::admit_behind(std::size_t listener, const ClientAddress& client) {
  return listeners_[listener].limits.admit(client, Clock::now());
}

void Acceptor::left(std::size_t worker, std::size_t listener, const ClientAddress& client,
                    bool counted) {
  --sessions_[worker];
  --clients_;
  if (asked_ > 0) --asked_;
  if (waits_for_room_ && !closing_) {
    resume_.cancel();
    watch_all(true);
  }
  if (counted) give_back(listener, client);
}

void Acceptor::adopt(const TopologyPtr& topology) {
  if (closing_) return;
  for (std::size_t i = 0; i < listeners_.size(); ++i) {
    if (config_.listen[i].when_no_node != WhenNoNode::kClose) continue;
    Listener& listener = listeners_[i];
    if (admits_any(topology->pools[i])) {
      listener.without_node = {};
      listener.should_be_open = true;
      if (!listener.open) open_listener(i, true);
    } else if (listener.without_node == Clock::time_point{}) {
      listener.without_node = Clock::now();
      recheck_.set_after(EventLoop::kTick);
    }
  }
}

void Acceptor::check_listeners() {
  if (closing_) return;
  const auto now = Clock::now();
  for (std::size_t i = 0; i < listeners_.size(); ++i) {
    Listener& listener = listeners_[i];
    if (listener.should_be_open && !listener.open) {
      open_listener(i, false);
    } else if (listener.open && listener.without_node != Clock::time_point{}) {
      if (now - listener.without_node >= config_.listen[i].hold) {
        close_listener(i);
      } else {
        recheck_.set_after(EventLoop::kTick);
      }
    }
  }
}

void Acceptor::open_listener(std::size_t listener, bool first_try) {
  for (auto& socket : sockets_) {
    if (socket->listener != listener || socket->watch.fd) continue;
    try {
      socket->watch.fd = open_socket(*socket->bind, config_.server);
      socket->file = socket_file(socket->bind->unix_path);
      watch(*socket, true);
    } catch (const std::runtime_error& problem) {
      // Somebody took the port meanwhile, or there is no descriptor left.
      if (first_try) {
        spdlog::error("{}; trying again every {} ms", problem.what(), kPause.count());
      }
      recheck_.set_after(kPause);
      return;
    }
  }
  listeners_[listener].open = true;
  counters_.by_listener[listener]->open.store(true, std::memory_order_relaxed);
  spdlog::warn("listener {} is open again", config_.listen[listener].name);
}

void Acceptor::close_listener(std::size_t listener) {
  for (auto& socket : sockets_) {
    if (socket->listener == listener) loop_.poller().close(socket->watch);
  }
  listeners_[listener].open = listeners_[listener].should_be_open = false;
  counters_.by_listener[listener]->open.store(false, std::memory_order_relaxed);
  spdlog::warn("listener {} is closed: it has no node to route to", config_.listen[listener].name);
}

void Acceptor::close() {
  closing_ = true;
  resume_.cancel();
  recheck_.cancel();
  for (auto& socket : sockets_) {
    if (socket->watch.fd) remove_socket_file(socket->bind->unix_path, socket->file);
    loop_.poller().close(socket->watch);
  }
}

std::uint16_t Acceptor::port(std::size_t listener) const {
  for (const auto& socket : sockets_) {
    if (socket->listener == listener && socket->bind->unix_path.empty()) {
      return bound_port(socket->watch.fd.get());
    }
  }
  return 0;
}

}  // namespace pgsteer
