// Names to addresses, again and again, without ever making anybody wait. Each name has a thread of
// its own, because getaddrinfo() blocks for as long as a name server pleases and cannot be stopped:
// one dead name must not delay the others. Numeric addresses never get here.
//
// Created and used by the checker thread; `changed` is called on the resolver's threads.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
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

  // `changed` says that take() has something. It must not call back into the resolver.
  Resolver(const std::vector<std::string>& names, std::chrono::milliseconds period,
           std::function<void()> changed, Lookup lookup = look_up);
  ~Resolver();  // at once, also while a lookup hangs
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  std::vector<Result> take();  // what has been looked up since the last call
  void refresh();              // look again now; at most once a second for each name

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace pgsteer
