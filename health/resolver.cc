#include "health/resolver.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <system_error>
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
  std::set<std::string> names;  // that are resolved
  std::set<std::string> busy;   // that have a thread, perhaps in a lookup that nobody waits for
  std::map<std::string, std::vector<Address>> last;  // what was found, if anything
  std::vector<Result> results;
  std::function<void()> changed;  // cleared on stop
  Lookup lookup;
  std::chrono::milliseconds period{};

  bool wants(const std::string& name) const { return !stopped && names.contains(name); }
  std::optional<std::string> next_name();
  void work(std::string name);
  void resolve(std::unique_lock<std::mutex>& lock, const std::string& name);
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

// One that waits for a thread.
std::optional<std::string> Resolver::Shared::next_name() {
  const auto at =
      std::ranges::find_if(names, [&](const auto& name) { return !busy.contains(name); });
  if (stopped || at == names.end()) return std::nullopt;
  busy.insert(*at);
  return *at;
}

// A thread, for one name after the other.
void Resolver::Shared::work(std::string name) {
  std::unique_lock lock(mutex);
  for (;;) {
    while (wants(name)) resolve(lock, name);
    busy.erase(name);
    last.erase(name);
    const auto next = next_name();
    if (!next) return;
    name = *next;
  }
}

void Resolver::Shared::resolve(std::unique_lock<std::mutex>& lock, const std::string& name) {
  const std::uint64_t seen = refreshes;
  const auto began = steady_clock::now();
  lock.unlock();
  auto found = lookup(name);
  lock.lock();
  if (!wants(name)) return;
  // Name servers rotate their answers: the same addresses in another order are not a change.
  auto& before = last[name];
  if (same_set(found, before)) found = before;
  if (!found.empty()) before = found;
  results.push_back({name, std::move(found)});
  if (changed) changed();
  wake.wait_until(lock, began + period, [&] { return !wants(name) || refreshes != seen; });
  wake.wait_until(lock, began + std::chrono::seconds(1), [&] { return !wants(name); });
}

Resolver::Resolver(std::chrono::milliseconds period, std::function<void()> changed, Lookup lookup)
    : shared_(std::make_shared<Shared>()) {
  shared_->changed = std::move(changed);
  shared_->lookup = std::move(lookup);
  shared_->period = period;
}

void Resolver::use(std::set<std::string> names) {
  const std::lock_guard lock(shared_->mutex);
  shared_->names = std::move(names);
  ++shared_->refreshes;
  shared_->wake.notify_all();
  for (const std::string& name : shared_->names) {
    const auto known = shared_->last.find(name);
    if (known != shared_->last.end() && !known->second.empty()) {
      shared_->results.push_back({name, known->second});
    }
  }
  start_threads();
}

// With the lock held.
void Resolver::start_threads() {
  while (shared_->busy.size() < kMaxThreads) {
    const auto name = shared_->next_name();
    if (!name) return;
    try {
      // Not joined, because getaddrinfo() cannot be cancelled. The thread shares ownership of the
      // state, sees that nobody wants the name when the call returns, and ends.
      std::thread([shared = shared_, name = *name] { shared->work(name); }).detach();
    } catch (const std::system_error&) {
      shared_->busy.erase(*name);  // there is none; the name waits like those beyond the limit
      return;
    }
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
  start_threads();
}

}  // namespace pgsteer
