// A REST API of Patroni inside the test, which sets at any time what it answers, how slowly, or how
// it fails. Has its own thread; listens on a port of 127.0.0.1 that the kernel chooses.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace pgsteer {

class FakePatroni {
 public:
  enum class Mode {
    kAnswer,
    kSilent,   // accepts, reads, never answers
    kClose,    // closes without a byte
    kGarbage,  // bytes that are no HTTP
    kHalf,     // half of the body, then nothing more
    kHuge,     // a body without end
  };
  struct Behaviour {
    Mode mode = Mode::kAnswer;
    int status = 200;
    std::string body;
    std::chrono::milliseconds delay{0};
  };

  FakePatroni();
  ~FakePatroni();
  FakePatroni(const FakePatroni&) = delete;
  FakePatroni& operator=(const FakePatroni&) = delete;

  std::uint16_t port() const { return port_; }
  std::string url(const std::string& host = "127.0.0.1") const {
    return "http://" + host + ":" + std::to_string(port_);
  }

  // GET /leader, in the words of Patroni 3.0.2.
  void lead(unsigned timeline, std::uint64_t location = 1000);
  void follow(unsigned timeline, std::uint64_t replayed = 1000);
  void promote(unsigned timeline);  // has the lease, still in recovery
  void set(const std::string& path, Behaviour behaviour);
  void set_mode(Mode mode);  // of every path
  void refuse();             // stops listening
  void accept();             // listens again, on the same port

  unsigned asked(const std::string& path) const;
  unsigned most_in_flight() const;
  std::string last_request() const;  // its whole text

 private:
  struct Connection {
    int fd = -1;
    std::string request;
    bool complete = false;
    bool replied = false;
    std::chrono::steady_clock::time_point due;
    Behaviour behaviour;
  };

  void run();
  void take_connection();
  bool read_request(Connection& c);
  void reply(Connection& c);
  void listen_again();

  std::uint16_t port_ = 0;
  int reserved_fd_ = -1;  // bound, never listens: keeps the port while listen_fd_ is closed
  int listen_fd_ = -1;
  int wake_[2] = {-1, -1};

  mutable std::mutex mutex_;
  std::map<std::string, Behaviour> behaviours_;
  std::map<std::string, unsigned> asked_;
  std::string last_request_;
  bool want_listening_ = true;
  unsigned most_in_flight_ = 0;

  std::vector<Connection> connections_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace pgsteer
