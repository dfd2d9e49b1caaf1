// The listening sockets: accepts, turns away at the gate, hands clients to workers in turn. Lives
// on worker 0's thread; made and opened by main before the workers run.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "config/config.h"
#include "proxy/routing/connection_limits.h"
#include "proxy/routing/counters.h"
#include "proxy/session/session.h"
#include "proxy/worker.h"

namespace pgsteer {

class Acceptor {
 public:
  using Clock = std::chrono::steady_clock;
  // Hands `arrival` to a worker, on that worker's thread.
  using HandOver = std::function<void(std::size_t worker, AcceptedClient arrival)>;

  // `home` is worker 0. Opens every socket; throws std::runtime_error with one clear line.
  Acceptor(const Config& config, Worker& home, std::size_t workers, Counters& counters,
           HandOver hand_over);
  ~Acceptor();

  // From here on: on worker 0's thread.
  void open();
  // A listener whose clients would find no node closes, if it is set so, and opens again.
  void adopt(const TopologyPtr& topology);
  void close();
  // A client behind a PROXY header has said who it is.
  EndReason admit_behind(std::size_t listener, const ClientAddress& peer);
  void left(std::size_t worker, std::size_t listener, const ClientAddress& peer, bool counted);
  // The place that admit_behind() gave to a client that had gone meanwhile.
  void give_back(std::size_t listener, const ClientAddress& peer) { gates_[listener].leave(peer); }

  // The first port of a listener; for tests, which let the kernel choose.
  std::uint16_t port(std::size_t listener) const;

 private:
  struct Socket {
    Acceptor* door = nullptr;
    std::size_t listener = 0;
    const BindAddress* bind = nullptr;
    Watch watch;
  };

  void accept_some(Socket& socket);
  bool from_balancer(std::size_t listener, const ClientAddress& peer) const;
  void tick(Clock::time_point now);
  void watch(Socket& socket, bool on);
  void set_open(std::size_t listener, bool open);

  const Config& config_;
  Worker& home_;
  Counters& counters_;
  HandOver hand_over_;
  std::vector<ConnectionLimits> gates_;  // by listener
  std::vector<std::unique_ptr<Socket>> sockets_;
  std::vector<std::uint32_t> sessions_;          // by worker: handed over and not left
  std::vector<Clock::time_point> without_node_;  // by listener; zero: has one
  std::vector<bool> open_;                       // by listener
  Clock::time_point paused_until_{};             // out of descriptors
  bool closing_ = false;
};

}  // namespace pgsteer
