// The data plane: the workers with their threads, the acceptor, and the calls between them. Wiring
// only. Created, started and stopped by main; adopt() and the views may be called from any thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "config/running.h"
#include "health/topology.h"
#include "proxy/acceptor.h"
#include "proxy/routing/counters.h"
#include "proxy/routing/descriptor_budget.h"
#include "proxy/routing/traffic_view.h"
#include "proxy/session/session_view.h"
#include "proxy/worker.h"

namespace pgsteer {

// What the data plane reports. Called on worker threads; must return at once.
struct ServerOutput {
  std::function<void(const Suspicion&)> suspicion;
  std::function<void(std::size_t node)> found_writable;  // see SessionLinks
  std::function<void(const WorkerReport&)> report;
};

// Where the certificates of a configuration come from: its files, or the configuration in force,
// which has the same listeners or more of them.
enum class Certificates : std::uint8_t { kRead, kKeep };

// What this process's limit of descriptors allows.
DescriptorBudget process_budget(const Config& config);

class Server {
 public:
  // What has to succeed before a configuration may be put in force.
  struct Prepared {
    RunningPtr running;
    TlsContextsPtr tls;
    std::size_t most_clients = 0;
    std::vector<Acceptor::Opened> sockets;
  };

  // Opens the listening sockets and reads the certificates: throws std::runtime_error with one
  // clear line.
  Server(RunningPtr running, ServerOutput output);
  ~Server();

  void start();
  // Posts the topology of a cluster to every worker; the acceptor follows worker 0.
  void adopt(const TopologyPtr& topology);
  // Opens the sockets that `next` needs beside those that are open, and may read its certificates.
  // Changes nothing; throws like the constructor. One thread at a time, as for use().
  Prepared prepare(const RunningPtr& next, Certificates certificates) const;
  // Clients that come from now on are served by it; sessions stay.
  void use(Prepared prepared);
  // The number of the configuration that the acceptor and every worker have.
  std::uint64_t in_force() const;
  // Slots with clients.
  UsedSlots used() const;
  // Stops accepting, lets sessions finish until `limit`, ends the rest; returns when all are gone.
  void stop(std::chrono::milliseconds limit) { stop(limit, limit); }
  // The same with a limit of its own for sessions that pgsteer cannot read.
  void stop(std::chrono::milliseconds limit, std::chrono::milliseconds unreadable);

  TrafficView traffic() const;
  // Asks every worker; one that does not answer within 200 ms is left out.
  std::vector<SessionView> sessions();
  // The port that a listener is bound to; for tests.
  std::uint16_t port(std::size_t listener) const { return acceptor_->port(listener); }

 private:
  SessionLinks links();
  WorkerOutput worker_output(std::size_t worker);
  void adopted(const TopologyPtr& topology, bool expired);
  void search_key(std::size_t asking, std::uint64_t session, std::uint32_t pid,
                  const std::vector<std::byte>& key);

  RunningPtr running() const;

  mutable std::mutex mutex_;
  RunningPtr running_;  // under mutex_
  TlsContextsPtr tls_;  // of the thread that calls prepare() and use()
  ServerOutput output_;
  Counters counters_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<Acceptor> acceptor_;
  std::vector<std::thread> threads_;
};

}  // namespace pgsteer
