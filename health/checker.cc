#include "health/checker.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <random>
#include <set>

#include "health/checker_loop.h"
#include "health/cluster_view.h"

namespace pgsteer {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Names are looked up this often, and more often while hunting.
constexpr milliseconds kNamePeriod{10'000};
// The time for one check of PostgreSQL's port.
constexpr milliseconds kPortDeadline{500};
// Workers may report the same suspicion for every session; more than this tell nothing new.
constexpr std::size_t kMaxSuspicions = 256;

}  // namespace

Checker::Loop::Loop(const Running& running, std::size_t cluster, CheckerOutput output,
                    Lookup lookup)
    : cluster_(cluster),
      number_(running.number),
      output_(std::move(output)),
      lookup_(std::move(lookup)),
      rest_client_(config_.health),
      record_(config_) {
  enter(running);
  state_ = initial_state(config_, std::random_device{}());
  for (const NodeConfig& node : config_.nodes) nodes_.push_back({rest_endpoint(node), {}, false});
}

Checker::Loop::~Loop() { stop(); }

void Checker::Loop::prepare() {
  if (thread_.joinable()) return;
  thread_ = std::thread([this] {
    started_.wait(false);
    run();
  });
}

void Checker::Loop::start() {
  prepare();
  started_ = true;
  started_.notify_all();
}

void Checker::Loop::stop() {
  stopping_ = true;
  started_ = true;
  started_.notify_all();
  rest_client_.wake();
  if (thread_.joinable()) thread_.join();
}

void Checker::Loop::suspect(const Suspicion& suspicion) {
  {
    std::lock_guard lock(mutex_);
    if (suspicions_.size() < kMaxSuspicions) suspicions_.push_back(suspicion);
  }
  rest_client_.wake();
}

void Checker::Loop::found_writable(std::size_t node) {
  {
    std::lock_guard lock(mutex_);
    writable_.insert(node);
  }
  rest_client_.wake();
}

void Checker::Loop::report(const WorkerReport& report) {
  {
    std::lock_guard lock(mutex_);
    reports_.push_back(report);
  }
  rest_client_.wake();
}

void Checker::Loop::run() {
  look_up_names();
  Instant wake = steady_clock::now();
  while (!stopping_) {
    sleep(wake);
    Instant now = steady_clock::now();
    take_configuration(now);
    take_inbox(now);
    take_names(now);
    take_replies();
    take_checks(now);
    begin_waiting(now);
    now = steady_clock::now();
    const Decision decision = judge(config_, state_, std::exchange(evidence_, {}), now);
    carry_out(decision, now);
    in_force_.store(number_, std::memory_order_release);
    wake = decision.wake;
    if (const auto due = record_.due()) wake = std::min(wake, *due);
  }
  resolver_.reset();
  checks_.clear();
}

// Numeric hosts are known at once; only names need the resolver.
void Checker::Loop::look_up_names() {
  std::set<std::string> names;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const NodeConfig& c = config_.nodes[i];
    if (auto address = numeric_address(c.host)) {
      evidence_.push_back(AddressEvidence{i, {with_port(*address, c.port)}});
    } else {
      names.insert(c.host);
    }
    if (const auto address = numeric_address(nodes_[i].rest.host)) {
      nodes_[i].rest_addresses = {*address};
      nodes_[i].rest_known = true;
    } else {
      names.insert(nodes_[i].rest.host);
    }
  }
  if (names == names_) {
    if (resolver_) resolver_->refresh();
    return;
  }
  names_ = names;
  if (!resolver_) {
    resolver_ = std::make_unique<Resolver>(
        kNamePeriod, [this] { rest_client_.wake(); }, lookup_);
  }
  resolver_->use(std::move(names));
}

void Checker::Loop::take_names(Instant) {
  if (!resolver_) return;
  for (const Resolver::Result& result : resolver_->take()) {
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      const NodeConfig& c = config_.nodes[i];
      if (c.host == result.name) {
        AddressEvidence e{i, {}};
        for (const Address& a : result.addresses) e.addresses.push_back(with_port(a, c.port));
        evidence_.push_back(std::move(e));
      }
      if (nodes_[i].rest.host == result.name) {
        nodes_[i].rest_known = true;
        if (!result.addresses.empty()) nodes_[i].rest_addresses = result.addresses;
      }
    }
  }
}

void Checker::Loop::take_inbox(Instant now) {
  std::vector<Suspicion> suspicions;
  std::set<std::size_t> writable;
  std::vector<WorkerReport> reports;
  {
    std::lock_guard lock(mutex_);
    suspicions.swap(suspicions_);
    writable.swap(writable_);
    reports.swap(reports_);
  }
  for (Suspicion suspicion : suspicions) {
    const auto node = node_in(suspicion.node);
    if (node) evidence_.push_back(SuspicionEvidence{{*node, suspicion.kind}});
  }
  for (const std::size_t slot : writable) {
    if (const auto node = node_in(slot)) evidence_.push_back(WritableEvidence{*node});
  }
  for (const WorkerReport& report : reports) {
    record_.observe(report);
    if (report.cut == 0) continue;
    event(Severity::kWarn,
          "ended " + std::to_string(report.cut) + " sessions (" + std::to_string(report.cut_told) +
              " were told why): role_lost",
          WallTime::clock::now());
  }
  for (const std::string& line : record_.tick(now))
    event(Severity::kInfo, line, WallTime::clock::now());
}

void Checker::Loop::take_replies() {
  for (RestReply& reply : rest_client_.collect()) {
    const bool answered = reply.outcome == Outcome::kAnswered;
    spdlog::debug("{}check of {}: {} in {:.1f} ms", prefix_, config_.nodes[reply.node].name,
                  reply.detail,
                  std::chrono::duration<double, std::milli>(reply.received - reply.sent).count());
    if (reply.kind == ProbeKind::kConfig) {
      const auto times = answered ? parse_config_reply(reply.status, reply.body) : std::nullopt;
      evidence_.push_back(ConfigEvidence{reply.node, reply.sent, reply.received, times});
    } else if (reply.kind == ProbeKind::kCluster) {
      const auto report = answered ? parse_cluster_reply(reply.status, reply.body) : std::nullopt;
      std::string failure = report ? "" : answered ? "not a list of members" : reply.detail;
      evidence_.push_back(
          ClusterEvidence{reply.node, reply.sent, reply.received, report, std::move(failure)});
    } else {
      view_is_old_ = true;
      Report report = answered ? parse_report(reply.status, reply.body, reply.date)
                               : failed_report(reply.outcome, reply.detail);
      evidence_.push_back(
          LeaderEvidence{reply.node, reply.sent, reply.received, std::move(report)});
    }
  }
}

void Checker::Loop::take_checks(Instant now) {
  for (auto& check : checks_) {
    if (auto e = check->step(now)) {
      evidence_.push_back(std::move(*e));
      check.reset();
    }
  }
  std::erase(checks_, nullptr);
}

void Checker::Loop::carry_out(const Decision& decision, Instant now) {
  if (decision.topology) {
    publish(*decision.topology);
  } else if (decision.renewed) {
    publish(state_.published);
  }
  if (decision.nominated && output_.nominated) {
    output_.nominated(config_.clusters[0].name, *decision.nominated);
  }
  for (const Request& request : decision.requests) begin(request, now);
  for (const Transition& transition : decision.transitions) announce(transition, now);
  if (resolver_ && state_.rounds.hunting) resolver_->refresh();
  if (decision.topology || !decision.transitions.empty() || view_is_old_) show(now);
  view_is_old_ = false;
}

void Checker::Loop::begin(const Request& request, Instant now) {
  if (request.kind == ProbeKind::kDatabase || request.kind == ProbeKind::kTls) {
    checks_.push_back(std::make_unique<PortCheck>(request.node, request.kind,
                                                  state_.nodes[request.node].addresses, now,
                                                  now + kPortDeadline));
    return;
  }
  const Node& node = nodes_[request.node];
  if (!node.rest_known) {
    waiting_.push_back({request, now});
  } else if (node.rest_addresses.empty()) {
    unresolved(request, now, now);
  } else {
    RestEndpoint endpoint = node.rest;
    endpoint.proven = !is_unproven(state_.nodes[request.node]);
    rest_client_.begin(request.node, request.kind, endpoint, node.rest_addresses);
  }
}

// The first lookup of a name may take as long as a check.
void Checker::Loop::begin_waiting(Instant now) {
  for (const Waiting& w : std::exchange(waiting_, {})) {
    if (nodes_[w.request.node].rest_known) {
      begin(w.request, now);
    } else if (now - w.since >= config_.health.timeout) {
      unresolved(w.request, w.since, now);
    } else {
      waiting_.push_back(w);
    }
  }
}

void Checker::Loop::unresolved(const Request& request, Instant since, Instant now) {
  if (request.kind == ProbeKind::kConfig) {
    evidence_.push_back(ConfigEvidence{request.node, since, now, std::nullopt});
  } else if (request.kind == ProbeKind::kCluster) {
    evidence_.push_back(ClusterEvidence{request.node, since, now, std::nullopt, {}});
  } else {
    view_is_old_ = true;
    evidence_.push_back(LeaderEvidence{
        request.node, since, now,
        failed_report(Outcome::kUnresolved, nodes_[request.node].rest.host + " does not resolve")});
  }
}

void Checker::Loop::announce(const Transition& transition, Instant now) {
  const WallTime wall = WallTime::clock::now();
  record_.observe(transition, now, wall);
  event(transition.severity, transition.text, wall);
}

void Checker::Loop::event(Severity severity, const std::string& text, WallTime at) {
  const std::string line = prefix_ + text;
  spdlog::log(spdlog::level::from_str(to_string(severity)), "{}", line);
  if (output_.event) output_.event(EventView{at, severity, line, config_.clusters[0].name});
}

void Checker::Loop::show(Instant now) {
  if (!output_.cluster) return;
  auto view =
      std::make_shared<ClusterView>(cluster_view(config_, state_, now, WallTime::clock::now()));
  view->slot = cluster_;
  view->failovers = record_.views(now);
  for (std::string& alarm : view->alarms) alarm.insert(0, prefix_);
  output_.cluster(std::move(view));
}

void Checker::Loop::sleep(Instant until) {
  if (!evidence_.empty()) until = steady_clock::now();
  std::vector<curl_waitfd> sockets;
  for (const auto& check : checks_) {
    until = std::min(until, check->fd() < 0 ? steady_clock::now() : check->deadline());
    if (check->fd() < 0) continue;
    short events = check->events() == POLLIN ? CURL_WAIT_POLLIN : CURL_WAIT_POLLOUT;
    sockets.push_back({check->fd(), events, 0});
  }
  for (const Waiting& w : waiting_) until = std::min(until, w.since + config_.health.timeout);
  const auto left = std::chrono::ceil<milliseconds>(until - steady_clock::now());
  rest_client_.wait(sockets, std::max(left, milliseconds(0)));
}

Checker::Checker(const RunningPtr& running, std::size_t cluster, CheckerOutput output,
                 Lookup lookup)
    : loop_(std::make_unique<Loop>(*running, cluster, std::move(output), std::move(lookup))) {}
Checker::~Checker() { stop(); }
void Checker::prepare() { loop_->prepare(); }
void Checker::start() { loop_->start(); }
void Checker::stop() { loop_->stop(); }
void Checker::use(RunningPtr running) { loop_->use(std::move(running)); }
std::uint64_t Checker::in_force() const { return loop_->in_force(); }
void Checker::suspect(const Suspicion& suspicion) { loop_->suspect(suspicion); }
void Checker::found_writable(std::size_t node) { loop_->found_writable(node); }
void Checker::report(const WorkerReport& report) { loop_->report(report); }

}  // namespace pgsteer
