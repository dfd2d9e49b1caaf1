#include "proxy/server.h"

#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <algorithm>
#include <future>
#include <stdexcept>
#include <string>
#include <utility>

#include "config/clusters.h"

namespace pgsteer {

namespace {

constexpr std::chrono::milliseconds kAnswerTime{200};

unsigned worker_count(const ServerConfig& config) {
  const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
  return config.workers != 0 ? config.workers : cores;
}

std::size_t most_clients(const Config& config) {
  const DescriptorBudget budget = process_budget(config);
  if (budget.enough()) return budget.clients;
  throw std::runtime_error("the limit of " + std::to_string(budget.limit) +
                           " descriptors is too low: with this configuration " +
                           std::to_string(budget.least_limit()) +
                           " are the least (LimitNOFILE, ulimit -n)");
}

}  // namespace

DescriptorBudget process_budget(const Config& config) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return descriptor_budget(config, limit.rlim_cur, worker_count(config.server));
}

Server::Server(RunningPtr running, ServerOutput output)
    : running_(std::move(running)),
      tls_(make_tls_contexts(*running_)),
      output_(std::move(output)),
      counters_(kMaxListeners, kMaxNodes) {
  counters_.workers = worker_count(running_->config.server);
  for (std::size_t i = 0; i < counters_.workers; ++i) {
    workers_.push_back(
        std::make_unique<Worker>(running_, i, counters_, links(), worker_output(i), tls_));
  }
  acceptor_ = std::make_unique<Acceptor>(
      running_, workers_[0]->loop(), most_clients(running_->config), counters_,
      [this](std::size_t worker, AcceptedClient client) {
        if (worker == 0) return workers_[0]->take(std::move(client));
        auto shared = std::make_shared<AcceptedClient>(std::move(client));
        workers_[worker]->post(
            [this, worker, shared] { workers_[worker]->take(std::move(*shared)); });
      },
      [this](std::size_t count, std::size_t spared, StartupList::Need need) {
        const std::size_t part = (count + workers_.size() - 1) / workers_.size();
        const std::size_t keep = spared / workers_.size();
        for (auto& worker : workers_) {
          worker->post([&worker, part, keep, need] { worker->make_room(part, keep, need); });
        }
      });
}

Server::~Server() {
  if (!threads_.empty()) stop(std::chrono::milliseconds(0));
}

// What happens on worker 0's thread already is done at once; the rest is posted there.
SessionLinks Server::links() {
  SessionLinks links;
  links.suspicion = output_.suspicion;
  links.found_writable = output_.found_writable;
  links.left = [this](std::size_t worker, std::size_t listener, const ClientAddress& peer,
                      bool counted) {
    if (worker == 0) return acceptor_->left(worker, listener, peer, counted);
    workers_[0]->post([this, worker, listener, peer, counted] {
      acceptor_->left(worker, listener, peer, counted);
    });
  };
  links.ask_admission = [this](std::size_t worker, std::uint64_t session, std::size_t listener,
                               const ClientAddress& peer) {
    workers_[0]->post([this, worker, session, listener, peer] {
      const EndReason refuse = acceptor_->admit_behind(listener, peer);
      workers_[worker]->post([this, worker, session, listener, peer, refuse] {
        if (workers_[worker]->answer_admission(session, refuse) || refuse != EndReason::kNone)
          return;
        workers_[0]->post([this, listener, peer] { acceptor_->give_back(listener, peer); });
      });
    });
  };
  links.give_back = [this](std::size_t listener, const ClientAddress& peer) {
    workers_[0]->post([this, listener, peer] { acceptor_->give_back(listener, peer); });
  };
  links.ask_key = [this](std::size_t worker, std::uint64_t session, std::uint32_t pid,
                         const std::vector<std::byte>& key) {
    search_key(worker, session, pid, key);
  };
  return links;
}

// From worker to worker until one has it; the last answer is nobody.
void Server::search_key(std::size_t asking, std::uint64_t session, std::uint32_t pid,
                        const std::vector<std::byte>& key) {
  const auto visit = [this, asking, session, pid, key](const auto& self, std::size_t step) -> void {
    const std::size_t at = (asking + step) % workers_.size();
    if (at == asking) {
      workers_[asking]->post(
          [this, asking, session] { workers_[asking]->answer_key(session, std::nullopt); });
      return;
    }
    workers_[at]->post([this, asking, session, pid, key, self, step, at] {
      const auto found = workers_[at]->keys().find(pid, key);
      if (!found) return self(self, step + 1);
      workers_[asking]->post(
          [this, asking, session, found] { workers_[asking]->answer_key(session, found); });
    });
  };
  visit(visit, 1);
}

void Server::start() {
  workers_[0]->post([this] { acceptor_->start(); });
  for (auto& worker : workers_) threads_.emplace_back([&worker] { worker->run(); });
}

void Server::adopt(const TopologyPtr& topology) {
  for (auto& worker : workers_) {
    worker->post([&worker, topology] { worker->adopt(topology); });
  }
}

// Worker 0 stands for all of them, and the acceptor lives on its thread.
WorkerOutput Server::worker_output(std::size_t worker) {
  WorkerOutput output{.report = output_.report, .adopted = {}};
  if (worker == 0) {
    output.adopted = [this](const TopologyPtr& topology, bool expired) {
      adopted(topology, expired);
    };
  }
  return output;
}

void Server::adopted(const TopologyPtr& topology, bool expired) {
  const std::uint32_t bit = std::uint32_t{1} << topology->cluster;
  auto& stopped = counters_.checks_stopped;
  const bool before = ((expired ? stopped.fetch_or(bit) : stopped.fetch_and(~bit)) & bit) != 0;
  if (expired != before) {
    const ClusterConfig* const cluster = running()->cluster(topology->cluster);
    const std::string prefix = cluster_prefix(cluster != nullptr ? cluster->name : "");
    if (expired) {
      spdlog::error(
          "{}{}: nothing proves which node leads; sessions of primary listeners end, and new ones "
          "wait",
          prefix, topology->no_primary_why);
    } else {
      spdlog::warn("{}the nodes are being checked again (generation {})", prefix,
                   topology->generation);
    }
  }
  acceptor_->adopt(topology);
}

RunningPtr Server::running() const {
  const std::lock_guard lock(mutex_);
  return running_;
}

Server::Prepared Server::prepare(const RunningPtr& next, Certificates certificates) const {
  return {.running = next,
          .tls = certificates == Certificates::kRead ? make_tls_contexts(*next) : tls_,
          .most_clients = most_clients(next->config),
          .sockets = Acceptor::open_for(*running(), *next)};
}

void Server::use(Prepared prepared) {
  const RunningPtr before = running();
  for (std::size_t i = 0; i < kMaxListeners; ++i) {
    const bool fresh_listener = !before->listener(i) && prepared.running->listener(i);
    if (fresh_listener) counters_.by_listener[i]->reset();
    for (std::size_t n = 0; n < kMaxNodes; ++n) {
      const bool fresh_node = !before->node(n) && prepared.running->node(n);
      if (fresh_listener || fresh_node) counters_.by_listener[i]->by_node[n].reset();
    }
  }
  for (std::size_t i = 0; i < kMaxClusters; ++i) {
    const std::uint32_t bit = std::uint32_t{1} << i;
    if (!before->cluster(i) && prepared.running->cluster(i)) counters_.checks_stopped &= ~bit;
  }
  {
    const std::lock_guard lock(mutex_);
    running_ = prepared.running;
  }
  tls_ = prepared.tls;
  for (auto& worker : workers_) {
    worker->post(
        [&worker, running = prepared.running, tls = prepared.tls] { worker->use(running, tls); });
  }
  // Behind those: a client of a new listener finds it wherever it is handed to.
  auto shared = std::make_shared<Prepared>(std::move(prepared));
  workers_[0]->post([this, shared] {
    acceptor_->use(shared->running, shared->most_clients, std::move(shared->sockets));
  });
}

std::uint64_t Server::in_force() const {
  std::uint64_t least = acceptor_->in_force();
  for (const auto& worker : workers_) least = std::min(least, worker->in_force());
  return least;
}

UsedSlots Server::used() const {
  UsedSlots used;
  for (std::size_t i = 0; i < kMaxNodes; ++i) {
    const bool busy = counters_.nodes[i].sessions.load(std::memory_order_relaxed) != 0;
    used.nodes |= std::uint64_t{busy} << i;
  }
  for (std::size_t i = 0; i < kMaxListeners; ++i) {
    const bool busy = counters_.by_listener[i]->clients.load(std::memory_order_relaxed) != 0;
    used.listeners |= std::uint64_t{busy} << i;
  }
  return used;
}

void Server::stop(std::chrono::milliseconds limit, std::chrono::milliseconds unreadable) {
  if (threads_.empty()) return;
  const auto now = Worker::Clock::now();
  const auto until = now + limit;
  const auto unreadable_until = now + unreadable;
  // Worker 0 carries the acceptor, and may be gone before the others: what their clients give back
  // there after that is no longer counted, and nobody is admitted any more. No worker is told to
  // stop before the acceptor has closed: a client posted to one that has gone would hang.
  std::promise<void> closed;
  workers_[0]->post([this, &closed] {
    acceptor_->close();
    closed.set_value();
  });
  closed.get_future().wait();
  for (auto& worker : workers_) {
    worker->post([&worker, until, unreadable_until] { worker->stop(until, unreadable_until); });
  }
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

TrafficView Server::traffic() const {
  std::vector<const ByteCounters*> bytes;
  for (const auto& worker : workers_) bytes.push_back(&worker->bytes());
  return traffic_view(*running(), counters_, bytes);
}

std::vector<SessionView> Server::sessions() {
  std::vector<std::future<std::vector<SessionView>>> answers;
  for (auto& worker : workers_) {
    auto promise = std::make_shared<std::promise<std::vector<SessionView>>>();
    answers.push_back(promise->get_future());
    worker->post([&worker, promise] {
      worker->describe_sessions(
          [promise](std::vector<SessionView> views) { promise->set_value(std::move(views)); });
    });
  }
  const auto until = std::chrono::steady_clock::now() + kAnswerTime;
  std::vector<SessionView> all;
  for (auto& answer : answers) {
    if (answer.wait_until(until) != std::future_status::ready) continue;
    std::vector<SessionView> some = answer.get();
    std::move(some.begin(), some.end(), std::back_inserter(all));
  }
  return all;
}

}  // namespace pgsteer
