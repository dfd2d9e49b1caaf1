// Resolves names again and again without blocking its owner. Each name has its own thread, because
// getaddrinfo() may block for a long time and cannot be cancelled: one dead name must not delay the
// others. Numeric addresses do not need it.
//
// Created and used by the checker thread; `changed` is called on the resolver's threads.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "proxy/net/address.h"

namespace pgsteer {

// Addresses without a port, in the order of preference; empty if the name does not resolve.
using Lookup = std::function<std::vector<Address>(const std::string& name)>;
std::vector<Address> look_up(const std::string& name);  // getaddrinfo()

class Resolver {
 public:
  struct Result {
    std::string name;
    std::vector<Address> addresses;
  };

  // `changed` is called when take() has something to return. It must not call the resolver.
  Resolver(std::chrono::milliseconds period, std::function<void()> changed,
           Lookup lookup = look_up);
  ~Resolver();  // returns at once, even while a lookup hangs
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Resolves these from now on, and no others. Of a name that stays, take() returns at once what
  // was found last. A lookup that hangs keeps its thread: names beyond kMaxThreads wait for one.
  void use(std::set<std::string> names);
  static constexpr std::size_t kMaxThreads = 192;  // up to 128 names, and some that still hang

  std::vector<Result> take();  // what has been looked up since the last call
  void refresh();              // resolves every name now, each at most once a second

 private:
  struct Shared;
  void start_threads();
  std::shared_ptr<Shared> shared_;
};

}  // namespace pgsteer
