// A fake PostgreSQL server inside the test: logins, queries whose text selects the behaviour,
// cancels, and every way to misbehave. One thread accepts, and one thread per connection serves it
// with blocking calls. The test's thread may call any public function at any time.
//
// Queries: "name" returns the server's name, "hang" runs until it is cancelled, "half" sends half a
// message and then runs until it is cancelled, "begin" opens a transaction, "copy out N" and
// "copy in N" move N of copy_block(), "result N" returns N kilobytes in short rows, "fatal CODE"
// ends the session with that SQLSTATE; any other query is echoed. For other behaviour a test
// provides its own script.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "health/topology.h"
#include "tests/component/test_certificates.h"
#include "tests/component/wire_end.h"

namespace pgsteer {

// At least a megabyte of CopyData messages with random contents, headers included.
const std::string& copy_block();

class FakePostgres {
 public:
  enum class Login {
    kServe,
    kRefuse,  // ErrorResponse with `sqlstate`
    kSilent,  // reads the startup packet and sends nothing
    kClose,
    kReset,
    kPassword,  // requests a password, then serves
    kHeldBack,  // AuthenticationOk, then nothing until let_in()
  };
  struct Behaviour {
    char ssl = 'N';  // answer to SSLRequest; 0: none
    char gss = 'N';
    Login login = Login::kServe;
    std::string sqlstate = "57P03";
    std::string in_hot_standby = "off";
    std::size_t key_size = 4;
    // Replaces all other behaviour: it handles the connection from the first byte.
    std::function<void(WireEnd&)> script{};
  };
  struct CancelSeen {
    std::uint32_t pid = 0;
    std::string key;
    bool hit = false;  // a session of this server has the key
  };

  explicit FakePostgres(std::string name = "pg");
  ~FakePostgres();
  FakePostgres(const FakePostgres&) = delete;
  FakePostgres& operator=(const FakePostgres&) = delete;

  const std::string& name() const { return name_; }
  std::uint16_t port() const { return port_; }
  Address address() const;

  void set(Behaviour behaviour);
  void use_tls(TestCertificates::Context context, bool required = false);
  void refuse();  // stops listening
  void accept();  // listens again, on the same port
  void let_in(unsigned logins = 1);
  void close_all();  // every connection, with FIN
  void reset_all();

  unsigned connections() const;  // since the start
  unsigned open() const;         // currently open
  unsigned logged_in() const;    // current sessions after their login
  unsigned in_login() const;     // current sessions between startup packet and ReadyForQuery
  unsigned ssl_requests() const;
  std::vector<std::string> startups() const;  // the packets as received
  std::vector<CancelSeen> cancels() const;
  std::uint64_t copied_out() const { return copied_out_; }  // bytes of COPY TO that were sent

 private:
  struct Connection {
    WireEnd end;
    std::thread thread;
    std::uint32_t pid = 0;
    std::string key;
    bool in_login = false;
    bool logged_in = false;
    bool cancelled = false;
    bool over = false;
  };

  void listen();
  void run();
  void serve(Connection& c);
  void take_session(Connection& c, const std::string& startup);
  bool log_in(Connection& c, const Behaviour& b);
  bool answer(Connection& c, const std::string& sql);
  bool run_until_cancelled(Connection& c);
  bool copy_out(Connection& c, unsigned blocks);
  bool copy_in(Connection& c, unsigned blocks);
  void take_cancel(const std::string& packet);
  template <class Count>
  unsigned count(Count&& counts) const;
  void reap();

  const std::string name_;
  std::uint16_t port_ = 0;
  UniqueFd reserved_;  // bound, not listening: reserves the port while listener_ is closed
  UniqueFd listener_;
  UniqueFd wakeup_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Behaviour behaviour_;
  TestCertificates::Context tls_;
  bool tls_required_ = false;
  bool want_listening_ = true;
  bool stopping_ = false;
  unsigned let_in_ = 0;
  unsigned connections_seen_ = 0;
  unsigned ssl_requests_ = 0;
  std::uint32_t next_pid_;
  std::vector<std::string> startups_;
  std::vector<CancelSeen> cancels_;
  std::list<Connection> connections_;
  std::atomic<std::uint64_t> copied_out_{0};
  std::thread thread_;
};

// A port on which a connect never completes: its queue is full and nobody accepts.
class StuckPort {
 public:
  StuckPort();
  Address address() const;

 private:
  UniqueFd listener_;
  std::vector<UniqueFd> fillers_;
};

}  // namespace pgsteer
