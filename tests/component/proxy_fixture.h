// A real Server with workers and acceptor, between test clients and FakePostgres. The test replaces
// the checker: it sets the verdicts and publishes them.
//
//   ProxyFixture proxy(2);                  two nodes; listeners "rw" (primary) and "ro" (replica)
//   proxy.config.listen[kRw].hold = 0ms;    any setting, before start()
//   proxy.start();
//   proxy.primary(0);                       node 0 is the primary, node 1 a replica
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "config/config.h"
#include "proxy/server.h"
#include "tests/component/fake_postgres.h"
#include "tests/component/proxy_client.h"
#include "tests/component/wait.h"

namespace pgsteer {

using namespace std::chrono_literals;

constexpr std::size_t kRw = 0;
constexpr std::size_t kRo = 1;

// The longest time from the topology to the end of a session; longer with a sanitizer.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::chrono::milliseconds kCutBound{1000};
#else
constexpr std::chrono::milliseconds kCutBound{200};
#endif

class ProxyFixture {
 public:
  explicit ProxyFixture(std::size_t node_count = 1, unsigned workers = 1);
  ~ProxyFixture();

  ListenConfig& rw() { return config.listen[kRw]; }
  ListenConfig& ro() { return config.listen[kRo]; }
  FakePostgres& node(std::size_t i) { return *nodes[i]; }

  void start();

  // Each publishes a complete topology. `draft` may be changed before; publish() sends it.
  void primary(std::size_t node, std::uint32_t timeline = 1);
  void no_primary(std::string why = "pg-1 has been demoted");
  ProxyFixture& verdict(std::size_t listener, std::size_t node, Admission admission,
                        std::string why = "set by the test", Reason reason = Reason::kUnknown);
  void publish();
  // The same generation again, with whatever has changed in `draft`.
  void renew();

  ProxyClient connect(std::size_t listener = kRw, const char* from = "127.0.0.1") const;
  // A client that is logged in; not open() if that failed.
  ProxyClient session(std::size_t listener = kRw);

  ListenerView traffic(std::size_t listener = kRw) const {
    return server->traffic().listeners[listener];
  }
  std::uint64_t ended(std::string_view reason, std::size_t listener = kRw) const;
  std::vector<SessionView> sessions() { return server->sessions(); }
  bool all_gone() const;
  std::vector<Suspicion> suspicions() const;
  bool suspected(SuspicionKind kind, std::size_t node) const;
  std::vector<std::size_t> found_writable() const;  // the nodes, in the order of the reports
  WorkerReport report() const;                      // the sum of all reports
  std::vector<WorkerReport> reports() const;

  // The configuration is read again: what has changed in `config` is put in force. Throws as
  // Server::prepare().
  void reload();
  // What leaves the configuration and is no longer used goes for good; false: nothing does.
  bool let_leave();

  Config config;
  RunningPtr running;
  Topology draft;
  std::vector<std::unique_ptr<FakePostgres>> nodes;
  std::unique_ptr<Server> server;

 private:
  ServerOutput output();
  void put_in_force(Config next, Certificates certificates);

  std::vector<std::uint16_t> ports_;
  mutable std::mutex mutex_;
  std::vector<Suspicion> suspicions_;
  std::vector<std::size_t> found_writable_;
  WorkerReport report_;
  std::vector<WorkerReport> reports_;
};

Network network(const std::string& text);
// A numeric address, on a port that the kernel chooses, or the path of a Unix socket.
BindAddress bind_to(const std::string& text);

}  // namespace pgsteer
