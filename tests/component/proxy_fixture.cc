#include "tests/component/proxy_fixture.h"

#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <csignal>

#include "config/address.h"
#include "proxy/net/listen_socket.h"

namespace pgsteer {

Network network(const std::string& text) { return *read_network(text).value; }

BindAddress bind_to(const std::string& text) {
  BindAddress bind;
  bind.text = text;
  (text.starts_with("/") ? bind.unix_path : bind.host) = text;
  return bind;
}

ProxyFixture::ProxyFixture(std::size_t node_count, unsigned workers) {
  ::signal(SIGPIPE, SIG_IGN);  // as main() does
  spdlog::set_level(spdlog::level::off);
  config.server.workers = workers;
  for (std::size_t i = 0; i < node_count; ++i) {
    const std::string name = "pg-" + std::to_string(i + 1);
    nodes.push_back(std::make_unique<FakePostgres>(name));
    NodeConfig node_config;
    node_config.name = name;
    node_config.host = "127.0.0.1";
    node_config.port = nodes[i]->port();
    config.nodes.push_back(std::move(node_config));
    NodeRoute route;
    route.name = name;
    route.addresses = {nodes[i]->address()};
    route.tls = TlsAnswer::kNo;
    draft.nodes.push_back(std::move(route));
  }
  for (const Target to : {Target::kPrimary, Target::kReplica}) {
    ListenConfig listen;
    listen.name = to == Target::kPrimary ? "rw" : "ro";
    listen.bind = {bind_to("127.0.0.1")};
    listen.bind[0].text = listen.name;  // port 0: addresses are told apart by this
    listen.to = to;
    config.listen.push_back(std::move(listen));
  }
  for (const ListenConfig& listen : config.listen) {
    draft.pools.push_back({listen.to, std::vector<Verdict>(node_count)});
  }
  draft.first_round_done = true;
}

ProxyFixture::~ProxyFixture() {
  if (server) server->stop(0ms);
}

void ProxyFixture::reload() { put_in_force(with_leaving(*running, config), Certificates::kRead); }

bool ProxyFixture::let_leave() {
  std::optional<Config> left = without_unused(*running, server->used());
  if (left) put_in_force(std::move(*left), Certificates::kKeep);
  return left.has_value();
}

void ProxyFixture::put_in_force(Config read, Certificates certificates) {
  const auto slots = slots_after(*running, read, server->used());
  if (!slots) throw std::runtime_error("no slots are left");
  auto next = std::make_shared<const Running>(std::move(read), *slots, running->number + 1);
  Server::Prepared prepared = server->prepare(next, certificates);
  ports_.resize(kMaxListeners);
  for (const Acceptor::Opened& opened : prepared.sockets) {
    ports_.at(opened.listener) = bound_port(opened.fd.get());
  }
  server->use(std::move(prepared));
  EXPECT_TRUE(eventually([&] { return server->in_force() == next->number; }));
  running = next;
}

ServerOutput ProxyFixture::output() {
  return {.suspicion =
              [this](const Suspicion& suspicion) {
                const std::lock_guard lock(mutex_);
                suspicions_.push_back(suspicion);
              },
          .found_writable =
              [this](std::size_t node) {
                const std::lock_guard lock(mutex_);
                found_writable_.push_back(node);
              },
          .report =
              [this](const WorkerReport& f) {
                const std::lock_guard lock(mutex_);
                reports_.push_back(f);
                report_.generation = f.generation;
                report_.cut += f.cut;
                report_.cut_told += f.cut_told;
                report_.held += f.held;
                report_.held_longest = std::max(report_.held_longest, f.held_longest);
                report_.first_primary_session |= f.first_primary_session;
                report_.server_ended += f.server_ended;
                if (!report_.first_server_ended) {
                  report_.first_server_ended = f.first_server_ended;
                }
              }};
}

void ProxyFixture::start() {
  running = std::make_shared<const Running>(config);
  server = std::make_unique<Server>(running, output());
  for (std::size_t i = 0; i < config.listen.size(); ++i) ports_.push_back(server->port(i));
  server->start();
}

ProxyFixture& ProxyFixture::verdict(std::size_t listener, std::size_t node, Admission admission,
                                    std::string why, Reason reason) {
  draft.pools[listener].by_node[node] = {admission, reason, std::move(why)};
  return *this;
}

void ProxyFixture::primary(std::size_t leader, std::uint32_t timeline) {
  draft.primary = leader;
  draft.timeline = timeline;
  draft.no_primary_why.clear();
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const bool leads = i == leader;
    verdict(kRw, i, leads ? Admission::kAdmit : Admission::kCut, leads ? "leads" : "is a replica",
            leads ? Reason::kPrimary : Reason::kNotPrimary);
    verdict(kRo, i, leads ? Admission::kDrain : Admission::kAdmit);
  }
  publish();
}

void ProxyFixture::no_primary(std::string why) {
  draft.primary.reset();
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    verdict(kRw, i, Admission::kCut, why);
    verdict(kRo, i, Admission::kDrain);
  }
  draft.no_primary_why = std::move(why);
  publish();
}

void ProxyFixture::publish() {
  ++draft.generation;
  renew();
}

void ProxyFixture::renew() {
  for (std::size_t i = 0; i < nodes.size(); ++i) draft.nodes[i].weight = config.nodes[i].weight;
  server->adopt(std::make_shared<const Topology>(draft));
  server->sessions();  // messages are in order: once they answer, every worker has adopted it
}

ProxyClient ProxyFixture::connect(std::size_t listener, const char* from) const {
  return ProxyClient::tcp(ports_[listener], from);
}

ProxyClient ProxyFixture::session(std::size_t listener) {
  ProxyClient client = connect(listener);
  if (!client.log_in()) client.close();
  return client;
}

std::uint64_t ProxyFixture::ended(std::string_view reason, std::size_t listener) const {
  for (const EndReasonRow& row : end_reason_table()) {
    if (row.word != reason) continue;
    return traffic(listener).session_ends[static_cast<std::size_t>(row.end)];
  }
  return 0;
}

bool ProxyFixture::all_gone() const {
  const TrafficView view = server->traffic();
  return std::all_of(view.listeners.begin(), view.listeners.end(), [](const ListenerView& l) {
    return l.clients == 0 && l.held_clients == 0 &&
           std::all_of(l.nodes.begin(), l.nodes.end(),
                       [](const NodeTrafficView& n) { return n.sessions == 0; });
  });
}

std::vector<Suspicion> ProxyFixture::suspicions() const {
  const std::lock_guard lock(mutex_);
  return suspicions_;
}

bool ProxyFixture::suspected(SuspicionKind kind, std::size_t node) const {
  const std::vector<Suspicion> all = suspicions();
  return std::any_of(all.begin(), all.end(),
                     [&](const Suspicion& d) { return d.kind == kind && d.node == node; });
}

std::vector<std::size_t> ProxyFixture::found_writable() const {
  const std::lock_guard lock(mutex_);
  return found_writable_;
}

std::vector<WorkerReport> ProxyFixture::reports() const {
  const std::lock_guard lock(mutex_);
  return reports_;
}

WorkerReport ProxyFixture::report() const {
  const std::lock_guard lock(mutex_);
  return report_;
}

}  // namespace pgsteer
