// The listening sockets: accepts, applies the connection limits, and hands each client to the
// worker with the fewest sessions. Closes a listener that has no node, if it is configured so.
// Lives on worker 0's thread; created by Server before the workers run.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "config/running.h"
#include "health/topology.h"
#include "proxy/net/event_loop.h"
#include "proxy/net/listen_socket.h"
#include "proxy/routing/connection_limits.h"
#include "proxy/routing/counters.h"
#include "proxy/routing/startup_list.h"
#include "proxy/session/accepted_client.h"

namespace pgsteer {

class Acceptor {
 public:
  using Clock = std::chrono::steady_clock;
  // Hands `client` to a worker, on that worker's thread.
  using HandOver = std::function<void(std::size_t worker, AcceptedClient client)>;
  // Asks the workers to end `count` of the clients that have not logged in, and to keep `spared`.
  using MakeRoom =
      std::function<void(std::size_t count, std::size_t spared, StartupList::Need need)>;

  // `loop` is worker 0's. No more than `most_clients` are accepted at the same time: the
  // descriptors for more are reserved (see DescriptorBudget). Opens every socket; throws
  // std::runtime_error with one clear line.
  Acceptor(RunningPtr running, EventLoop& loop, std::size_t most_clients, Counters& counters,
           HandOver hand_over, MakeRoom make_room);
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // A socket that has been opened for a reload. If that fails after all, its file goes as well.
  struct Opened {
    Opened(std::size_t of, BindAddress at) : listener(of), bind(std::move(at)) {}
    Opened(Opened&&) noexcept = default;
    Opened& operator=(Opened&&) = delete;
    ~Opened() {
      if (fd) remove_socket_file(bind.unix_path, file);
    }
    std::size_t listener;
    BindAddress bind;
    UniqueFd fd;  // empty: its address is in use by one that closes
    SocketFile file;
  };
  // What `next` listens on and `now` does not; any thread. Throws like the constructor.
  static std::vector<Opened> open_for(const Running& now, const Running& next);

  // From here on: on worker 0's thread.
  void start();
  // Listens as `running` says. Sockets whose addresses stay are kept, with the clients that wait in
  // their queues, whatever listener they belong to now; new ones come before old ones close.
  void use(RunningPtr running, std::size_t most_clients, std::vector<Opened> opened);
  // Any thread: the number of the configuration that it has.
  std::uint64_t in_force() const { return in_force_.load(std::memory_order_acquire); }
  // A listener set to when_no_node = "close" closes once its clients have found no node for `hold`,
  // and opens again when there is one. Looks at the listeners of the topology's cluster.
  void adopt(const TopologyPtr& topology);
  void close();
  // A client behind a PROXY header has said who it is.
  EndReason admit_behind(std::size_t listener, const ClientAddress& client);
  // A client's socket has been closed.
  void left(std::size_t worker, std::size_t listener, const ClientAddress& client, bool counted);
  // What admit_behind() counted for a client that had gone meanwhile.
  void give_back(std::size_t listener, const ClientAddress& client) {
    listeners_[listener].limits.leave(client);
  }

  // The first TCP port of a listener; for tests, which let the kernel choose.
  std::uint16_t port(std::size_t listener) const;

 private:
  struct Socket {
    Acceptor* acceptor = nullptr;
    std::size_t listener = 0;
    BindAddress bind;
    Watch watch;
    SocketFile file;  // of a Unix socket
  };
  struct Listener {
    ConnectionLimits limits;
    bool open = true;
    bool should_be_open = true;
    Clock::time_point without_node{};  // since when; zero: it has one
  };

  void add(Opened opened);
  const ListenConfig& listen(std::size_t listener) const { return *running_->listener(listener); }
  void accept_some(Socket& socket);
  void accept_batch(Socket& socket);
  void hand_over(AcceptedClient client);
  void pause(const Socket& socket);
  void wait_for_room();
  void make_room();
  void ask_for_room(std::size_t count, std::size_t spared, StartupList::Need need);
  void watch_all(bool on);
  bool from_balancer(std::size_t listener, const ClientAddress& client) const;
  void watch(Socket& socket, bool on);
  void check_listeners();
  void open_listener(std::size_t listener, bool first_try);
  void close_listener(std::size_t listener);
  bool set_open(std::size_t listener, bool open);
  void keep_or_shut(std::unique_ptr<Socket>& socket);
  void shut(Socket& socket);
  void shut_sockets(std::size_t listener);

  RunningPtr running_;
  std::atomic<std::uint64_t> in_force_{1};
  EventLoop& loop_;
  Counters& counters_;
  const HandOver hand_over_;
  const MakeRoom make_room_;
  std::size_t most_clients_;
  std::size_t clients_ = 0;  // accepted and not left
  std::size_t asked_ = 0;    // to leave, and have not left
  Clock::time_point asked_at_{};
  bool waits_for_room_ = false;
  Clock::time_point next_warning_{};  // that there is no room
  std::vector<Listener> listeners_;   // by slot
  std::vector<std::unique_ptr<Socket>> sockets_;
  std::vector<std::uint32_t> sessions_;  // by worker: handed over and not left
  Timer resume_;                         // after a pause: out of descriptors, or of room
  Timer recheck_;                        // listeners that are to close, or to open again
  bool closing_ = false;
};

}  // namespace pgsteer
