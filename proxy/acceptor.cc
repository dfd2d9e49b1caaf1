#include "proxy/acceptor.h"

#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "proxy/net/listen_socket.h"
#include "proxy/net/socket_options.h"

namespace pgsteer {

namespace {

// Accepted in one turn from one socket; the rest waits for the sessions' turn.
constexpr int kAcceptsPerTurn = 32;
constexpr std::chrono::milliseconds kPause{100};

// Clients inherit the socket's options.
UniqueFd open_listener(const BindAddress& bind, const ServerConfig& server) try {
  UniqueFd fd = open_listen_socket(bind);
  if (bind.unix_path.empty()) {
    set_no_delay(fd.get());
    set_keepalive(fd.get(), server);
  }
  return fd;
} catch (const std::runtime_error& problem) {
  throw std::runtime_error(std::string("cannot listen on ") + problem.what());
}

bool admits_any(const Pool& pool) {
  return std::any_of(pool.by_node.begin(), pool.by_node.end(),
                     [](const Verdict& v) { return v.admission == Admission::kAdmit; });
}

}  // namespace

Acceptor::Acceptor(const Config& config, Worker& home, std::size_t workers, Counters& counters,
                   HandOver hand_over)
    : config_(config),
      home_(home),
      counters_(counters),
      hand_over_(std::move(hand_over)),
      sessions_(workers),
      without_node_(config.listen.size()),
      open_(config.listen.size(), true) {
  gates_.reserve(config.listen.size());
  for (std::size_t i = 0; i < config.listen.size(); ++i) {
    gates_.emplace_back(config.listen[i]);
    for (const BindAddress& bind : config.listen[i].bind) {
      auto socket = std::make_unique<Socket>();
      socket->door = this;
      socket->listener = i;
      socket->bind = &bind;
      socket->watch.fd = open_listener(bind, config.server);
      socket->watch.owner = socket.get();
      socket->watch.ready = [](void* owner, Watch&, std::uint32_t) {
        auto& ready = *static_cast<Socket*>(owner);
        ready.door->accept_some(ready);
      };
      sockets_.push_back(std::move(socket));
    }
  }
}

Acceptor::~Acceptor() { close(); }

void Acceptor::open() {
  home_.on_tick([this](Clock::time_point now) { tick(now); });
  for (auto& socket : sockets_) watch(*socket, true);
}

void Acceptor::watch(Socket& socket, bool on) {
  if (!socket.watch.fd) return;
  if (!home_.poller().want(socket.watch, on ? static_cast<std::uint32_t>(EPOLLIN) : 0U)) {
    spdlog::error("cannot watch {}: {}", socket.bind->text, std::strerror(errno));
  }
}

bool Acceptor::from_balancer(std::size_t listener, const ClientAddress& peer) const {
  const auto& networks = config_.listen[listener].proxy_protocol_from;
  return !peer.unix_socket &&
         std::any_of(networks.begin(), networks.end(),
                     [&peer](const Network& n) { return n.contains(peer.address); });
}

void Acceptor::accept_some(Socket& socket) {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    Address from;
    from.size = sizeof from.storage;
    UniqueFd fd(::accept4(socket.watch.fd.get(), reinterpret_cast<sockaddr*>(&from.storage),
                          &from.size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) {
      if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) return;
      // Out of descriptors or memory. The connection stays in the kernel's queue; what ends
      // meanwhile makes room for it.
      counters_.accept_errors.fetch_add(1, std::memory_order_relaxed);
      spdlog::warn("cannot accept on {}: {}; pausing for {} ms", socket.bind->text,
                   std::strerror(errno), kPause.count());
      paused_until_ = Clock::now() + kPause;
      for (auto& each : sockets_) watch(*each, false);
      home_.want_ticks(true);
      return;
    }
    AcceptedClient arrival{
        .fd = std::move(fd), .peer = client_address_of(from), .listener = socket.listener};
    arrival.behind_balancer = from_balancer(socket.listener, arrival.peer);
    if (!arrival.behind_balancer) {
      arrival.refuse = gates_[socket.listener].admit(arrival.peer, Clock::now());
      arrival.counted = arrival.refuse == EndReason::kNone;
      if (arrival.refuse == EndReason::kDenied || arrival.refuse == EndReason::kTooFast) {
        ListenerCounters& counters = *counters_.by_listener[socket.listener];
        counters.ends[static_cast<std::size_t>(arrival.refuse)].fetch_add(
            1, std::memory_order_relaxed);
        continue;
      }
    }
    const auto lightest = std::min_element(sessions_.begin(), sessions_.end());
    ++*lightest;
    hand_over_(static_cast<std::size_t>(lightest - sessions_.begin()), std::move(arrival));
  }
}

EndReason Acceptor::admit_behind(std::size_t listener, const ClientAddress& peer) {
  return gates_[listener].admit(peer, Clock::now());
}

void Acceptor::left(std::size_t worker, std::size_t listener, const ClientAddress& peer,
                    bool counted) {
  --sessions_[worker];
  if (counted) gates_[listener].leave(peer);
}

void Acceptor::adopt(const TopologyPtr& topology) {
  const auto now = Clock::now();
  for (std::size_t i = 0; i < config_.listen.size(); ++i) {
    if (config_.listen[i].when_no_node != WhenNoNode::kClose) continue;
    if (admits_any(topology->pools[i])) {
      without_node_[i] = {};
      set_open(i, true);
    } else if (without_node_[i] == Clock::time_point{}) {
      without_node_[i] = now;
      home_.want_ticks(true);
    }
  }
}

void Acceptor::set_open(std::size_t listener, bool open) {
  if (open_[listener] == open || closing_) return;
  open_[listener] = open;
  bool all = true;
  for (auto& socket : sockets_) {
    if (socket->listener != listener) continue;
    home_.poller().close(socket->watch);
    if (!open) continue;
    try {
      socket->watch.fd = open_listener(*socket->bind, config_.server);
      watch(*socket, true);
    } catch (const std::exception& problem) {
      // Somebody took the port meanwhile. Tried again on every tick.
      spdlog::error("{}", problem.what());
      all = false;
    }
  }
  if (!all) open_[listener] = false;
  counters_.by_listener[listener]->open.store(open_[listener], std::memory_order_relaxed);
  spdlog::warn("listener {} {}", config_.listen[listener].name,
               open_[listener] ? "is open again" : "is closed: there is no node to lead to");
}

void Acceptor::tick(Clock::time_point now) {
  bool waits = false;
  if (paused_until_ != Clock::time_point{} && !closing_) {
    if (now >= paused_until_) {
      paused_until_ = {};
      for (auto& socket : sockets_) watch(*socket, true);
    } else {
      waits = true;
    }
  }
  for (std::size_t i = 0; i < without_node_.size(); ++i) {
    if (without_node_[i] == Clock::time_point{} || !open_[i]) continue;
    if (now - without_node_[i] >= config_.listen[i].hold) {
      set_open(i, false);
    } else {
      waits = true;
    }
  }
  home_.want_ticks(waits);
}

void Acceptor::close() {
  closing_ = true;
  for (auto& socket : sockets_) {
    if (socket->watch.fd && !socket->bind->unix_path.empty()) {
      ::unlink(socket->bind->unix_path.c_str());
    }
    home_.poller().close(socket->watch);
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
