#include "proxy/acceptor.h"

#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <utility>

#include "config/address.h"
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

void check(const BindAddress& bind) try {
  check_address(bind);
} catch (const std::runtime_error& problem) {
  throw std::runtime_error(std::string("cannot listen on ") + problem.what());
}

}  // namespace

Acceptor::Acceptor(RunningPtr running, EventLoop& loop, std::size_t most_clients,
                   Counters& counters, HandOver hand_over, MakeRoom make_room)
    : running_(std::move(running)),
      loop_(loop),
      counters_(counters),
      hand_over_(std::move(hand_over)),
      make_room_(std::move(make_room)),
      most_clients_(most_clients),
      listeners_(kMaxListeners),
      sessions_(counters.workers),
      resume_(loop, this, [](void* self) { static_cast<Acceptor*>(self)->watch_all(true); }),
      recheck_(loop, this, [](void* self) { static_cast<Acceptor*>(self)->check_listeners(); }) {
  for (Opened& opened : open_for(Running(Config{}), *running_)) add(std::move(opened));
}

std::vector<Acceptor::Opened> Acceptor::open_for(const Running& now, const Running& next) {
  std::vector<BindAddress> bound;
  for (const ListenConfig& listen : now.config.listen) {
    if (listen.leaving) continue;
    bound.insert(bound.end(), listen.bind.begin(), listen.bind.end());
  }
  std::vector<Opened> all;
  for (std::size_t i = 0; i < next.config.listen.size(); ++i) {
    if (next.config.listen[i].leaving) continue;
    for (const BindAddress& bind : next.config.listen[i].bind) {
      if (std::ranges::find(bound, bind) != bound.end()) continue;
      Opened& opened = all.emplace_back(next.slots.listeners[i], bind);
      // From "*:5000" to "10.0.0.5:5000": the kernel gives that away only when the old one closes.
      const auto in_the_way = [&](const BindAddress& other) { return in_conflict(other, bind); };
      if (std::ranges::any_of(bound, in_the_way)) {
        check(bind);
        continue;
      }
      opened.fd = open_socket(bind, next.config.server);
      opened.file = socket_file(bind.unix_path);
    }
  }
  return all;
}

void Acceptor::add(Opened opened) {
  auto socket = std::make_unique<Socket>();
  socket->acceptor = this;
  socket->listener = opened.listener;
  socket->bind = std::move(opened.bind);
  socket->watch.fd = std::move(opened.fd);
  socket->file = opened.file;
  socket->watch.owner = socket.get();
  socket->watch.ready = [](void* owner, Watch&, std::uint32_t) {
    auto& ready = *static_cast<Socket*>(owner);
    ready.acceptor->accept_some(ready);
  };
  sockets_.push_back(std::move(socket));
}

void Acceptor::use(RunningPtr running, std::size_t most_clients, std::vector<Opened> opened) {
  const RunningPtr before = std::exchange(running_, std::move(running));
  most_clients_ = most_clients;
  if (!closing_) {
    for (Opened& each : opened) add(std::move(each));
    for (auto& socket : sockets_) keep_or_shut(socket);
    std::erase(sockets_, nullptr);
    for (const std::size_t i : running_->slots.listeners) {
      if (before->listener(i) == nullptr) listeners_[i].open = true;
      if (before->listener(i) == nullptr || listen(i).when_no_node != WhenNoNode::kClose) {
        listeners_[i].should_be_open = true;
        listeners_[i].without_node = {};
      }
      if (listeners_[i].should_be_open) {
        open_listener(i, true);
      } else {
        shut_sockets(i);  // new ones are open
      }
    }
    watch_all(!waits_for_room_);
  }
  in_force_.store(running_->number, std::memory_order_release);
}

// An address may belong to another listener than before.
void Acceptor::keep_or_shut(std::unique_ptr<Socket>& socket) {
  const auto& listeners = running_->config.listen;
  const auto owner = std::ranges::find_if(listeners, [&](const ListenConfig& listen) {
    return !listen.leaving && std::ranges::find(listen.bind, socket->bind) != listen.bind.end();
  });
  if (owner == listeners.end()) {
    shut(*socket);
    socket.reset();
    return;
  }
  socket->listener = running_->slots.listeners[static_cast<std::size_t>(owner - listeners.begin())];
  if (socket->watch.fd && socket->bind.unix_path.empty()) {
    set_keepalive(socket->watch.fd.get(), running_->config.server);
  }
}

void Acceptor::shut(Socket& socket) {
  if (socket.watch.fd) remove_socket_file(socket.bind.unix_path, socket.file);
  loop_.poller().close(socket.watch);
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
    spdlog::error("cannot watch {}: {}", socket.bind.text, std::strerror(errno));
  }
}

bool Acceptor::from_balancer(std::size_t listener, const ClientAddress& client) const {
  const auto& networks = listen(listener).proxy_protocol_from;
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
      client.refuse = listeners_[socket.listener].limits.admit(listen(socket.listener),
                                                               client.address, Clock::now());
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
  counters_.by_listener[client.listener]->clients.fetch_add(1, std::memory_order_relaxed);
  hand_over_(static_cast<std::size_t>(lightest - sessions_.begin()), std::move(client));
}

// Out of descriptors or memory. The connection stays in the kernel's queue; what ends meanwhile
// makes room for it.
void Acceptor::pause(const Socket& socket) {
  counters_.accept_errors.fetch_add(1, std::memory_order_relaxed);
  spdlog::warn("cannot accept on {}: {}; pausing for {} ms", socket.bind.text, std::strerror(errno),
               kPause.count());
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
  return listeners_[listener].limits.admit(listen(listener), client, Clock::now());
}

void Acceptor::left(std::size_t worker, std::size_t listener, const ClientAddress& client,
                    bool counted) {
  --sessions_[worker];
  --clients_;
  counters_.by_listener[listener]->clients.fetch_sub(1, std::memory_order_relaxed);
  if (asked_ > 0) --asked_;
  if (waits_for_room_ && !closing_) {
    resume_.cancel();
    watch_all(true);
  }
  if (counted) give_back(listener, client);
}

void Acceptor::adopt(const TopologyPtr& topology) {
  if (closing_) return;
  for (const std::size_t i : running_->slots.listeners) {
    if (running_->cluster_of_listener(i) != topology->cluster) continue;
    if (listen(i).leaving || listen(i).when_no_node != WhenNoNode::kClose) continue;
    const Pool* const pool = pool_of(*topology, i);
    if (pool == nullptr) continue;
    Listener& listener = listeners_[i];
    if (admits_any(*pool)) {
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
  for (const std::size_t i : running_->slots.listeners) {
    if (listen(i).leaving) continue;
    Listener& listener = listeners_[i];
    if (listener.should_be_open && !listener.open) {
      open_listener(i, false);
    } else if (listener.open && listener.without_node != Clock::time_point{}) {
      if (now - listener.without_node >= listen(i).hold) {
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
      socket->watch.fd = open_socket(socket->bind, running_->config.server);
      socket->file = socket_file(socket->bind.unix_path);
      watch(*socket, true);
    } catch (const std::runtime_error& problem) {
      // Somebody took the port meanwhile, or there is no descriptor left.
      if (first_try) {
        spdlog::error("{}; trying again every {} ms", problem.what(), kPause.count());
      }
      set_open(listener, false);
      recheck_.set_after(kPause);
      return;
    }
  }
  if (set_open(listener, true)) {
    spdlog::warn("listener {} is open again", listen(listener).name);
  }
}

// Whether that is news.
bool Acceptor::set_open(std::size_t listener, bool open) {
  counters_.by_listener[listener]->open.store(open, std::memory_order_relaxed);
  return std::exchange(listeners_[listener].open, open) != open;
}

void Acceptor::shut_sockets(std::size_t listener) {
  for (auto& socket : sockets_) {
    if (socket->listener == listener) loop_.poller().close(socket->watch);
  }
}

void Acceptor::close_listener(std::size_t listener) {
  shut_sockets(listener);
  listeners_[listener].should_be_open = false;
  set_open(listener, false);
  spdlog::warn("listener {} is closed: it has no node to route to", listen(listener).name);
}

void Acceptor::close() {
  closing_ = true;
  resume_.cancel();
  recheck_.cancel();
  for (auto& socket : sockets_) shut(*socket);
}

std::uint16_t Acceptor::port(std::size_t listener) const {
  for (const auto& socket : sockets_) {
    if (socket->listener == listener && socket->bind.unix_path.empty()) {
      return bound_port(socket->watch.fd.get());
    }
  }
  return 0;
}

}  // namespace pgsteer
