#include "health/resolver.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>
#include <utility>

namespace pgsteer {

using std::chrono::steady_clock;

// Outlives the Resolver for as long as a lookup hangs.
struct Resolver::Shared {
  std::mutex mutex;
  std::condition_variable wake;
  bool stopped = false;
  std::uint64_t refreshes = 0;
  std::vector<Result> results;
  std::function<void()> changed;  // cleared on stop
  Lookup lookup;
  std::chrono::milliseconds period{};

  void run(const std::string& name);
};

namespace {

bool same_set(const std::vector<Address>& a, const std::vector<Address>& b) {
  return a.size() == b.size() && std::all_of(a.begin(), a.end(), [&](const Address& x) {
           return std::find(b.begin(), b.end(), x) != b.end();
         });
}

}  // namespace

std::vector<Address> look_up(const std::string& name) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  std::vector<Address> addresses;
  if (getaddrinfo(name.c_str(), nullptr, &hints, &found) != 0) return addresses;
  for (addrinfo* a = found; a; a = a->ai_next) {
    if (a->ai_addrlen > sizeof(sockaddr_storage)) continue;
    Address address;
    std::memcpy(&address.storage, a->ai_addr, a->ai_addrlen);
    address.size = a->ai_addrlen;
    if (std::find(addresses.begin(), addresses.end(), address) == addresses.end()) {
      addresses.push_back(address);
    }
  }
  freeaddrinfo(found);
  return addresses;
}

void Resolver::Shared::run(const std::string& name) {
  std::vector<Address> last;
  std::uint64_t seen = 0;
  std::unique_lock lock(mutex);
  while (!stopped) {
    seen = refreshes;
    const auto began = steady_clock::now();
    lock.unlock();
    auto found = lookup(name);
    lock.lock();
    if (stopped) return;
    // Name servers rotate their answers: the same addresses in another order are not a change.
    if (same_set(found, last)) found = last;
    if (!found.empty()) last = found;
    results.push_back({name, std::move(found)});
    if (changed) changed();
    wake.wait_until(lock, began + period, [&] { return stopped || refreshes != seen; });
    wake.wait_until(lock, began + std::chrono::seconds(1), [&] { return stopped; });
  }
}

Resolver::Resolver(const std::vector<std::string>& names, std::chrono::milliseconds period,
                   std::function<void()> changed, Lookup lookup)
    : shared_(std::make_shared<Shared>()) {
  shared_->changed = std::move(changed);
  shared_->lookup = std::move(lookup);
  shared_->period = period;
  for (const std::string& name : names) {
    // Not joined, because getaddrinfo() cannot be cancelled. The thread shares ownership of the
    // state, sees `stopped` when the call returns, and ends.
    std::thread([shared = shared_, name] { shared->run(name); }).detach();
  }
}

Resolver::~Resolver() {
  std::lock_guard lock(shared_->mutex);
  shared_->stopped = true;
  shared_->changed = nullptr;
  shared_->wake.notify_all();
}

std::vector<Resolver::Result> Resolver::take() {
  std::lock_guard lock(shared_->mutex);
  return std::exchange(shared_->results, {});
}

void Resolver::refresh() {
  std::lock_guard lock(shared_->mutex);
  ++shared_->refreshes;
  shared_->wake.notify_all();
}

}  // namespace pgsteer
