#include "tests/simulation/proxy.h"

#include <algorithm>

#include "health/reason.h"

namespace pgsteer {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr Span kNamePeriod = seconds(10);
constexpr Span kPortDeadline = milliseconds(500);

Address address_of(std::size_t i, unsigned version) {
  return with_port(*numeric_address(model_address(i, version)), 5432);
}

const char* to_string(ProbeKind kind) {
  static constexpr const char* kNames[] = {"its role", "the configuration", "the members",
                                           "its port", "TLS"};
  return kNames[static_cast<std::size_t>(kind)];
}

bool of_rest(ProbeKind ask) { return ask != ProbeKind::kDatabase && ask != ProbeKind::kTls; }

// As the checker does (checker.cc, take_replies).
Evidence evidence_of(const Request& request, Instant sent, Instant received, const ModelReply& r) {
  const bool answered = r.outcome == Outcome::kAnswered;
  switch (request.kind) {
    case ProbeKind::kConfig:
      return ConfigEvidence{request.node, sent, received,
                            answered ? parse_config_reply(r.status, r.body) : std::nullopt};
    case ProbeKind::kCluster:
      return ClusterEvidence{request.node, sent, received,
                             answered ? parse_cluster_reply(r.status, r.body) : std::nullopt};
    default:
      return LeaderEvidence{request.node, sent, received,
                            answered ? parse_report(r.status, r.body, r.date)
                                     : failed_report(r.outcome, to_string(r.outcome))};
  }
}

// What the REST client makes of a request when it goes on after it stood still: its deadline counts
// before what has come in meanwhile.
void expire(Evidence& evidence, Span timeout, Instant now) {
  std::visit(
      [&](auto& e) {
        using E = std::decay_t<decltype(e)>;
        if constexpr (requires { e.received; }) {
          e.received = now;
          if constexpr (!std::is_same_v<E, DatabaseEvidence>) {
            if (now - e.sent < timeout) return;
          }
        }
        if constexpr (std::is_same_v<E, LeaderEvidence>) {
          if (e.report.answered()) e.report = failed_report(Outcome::kSilent, "silent");
        } else if constexpr (std::is_same_v<E, ConfigEvidence>) {
          e.times.reset();
        } else if constexpr (std::is_same_v<E, ClusterEvidence>) {
          e.report.reset();
        }
      },
      evidence);
}

}  // namespace

SimulatedProxy::SimulatedProxy(std::size_t index, const Config& all, ModelCluster& cluster,
                               Agenda& agenda, Dice& dice)
    : index_(index),
      config_(all, cluster.settings),
      cluster_(cluster),
      agenda_(agenda),
      dice_(dice),
      sessions_(index, config_, cluster, agenda, dice),
      stay_(all.nodes.size()) {
  batches_ = dice.chance(0.3);
  invariants_ = std::make_unique<Invariants>(config_, cluster_, sessions_, agenda_, index_);
  sessions_.known_address.assign(all.nodes.size(), kNoAddress);
  sessions_.suspect = [this](Suspicion s) {
    agenda_.after(milliseconds(1), [this, s, life = life_] {
      if (life == life_) arrive({SuspicionEvidence{s}, {}});
    });
  };
  sessions_.writable = [this](std::size_t node) {
    agenda_.after(milliseconds(1), [this, node, life = life_] {
      if (life == life_) arrive({WritableEvidence{node}, {}});
    });
  };
  sessions_.on_bound = [this](const ModelSession& s) { invariants_->bound(s); };
  sessions_.on_cut = [this](const ModelSession& s, const Verdict& v) { invariants_->cut(s, v); };
}

void SimulatedProxy::start() {
  state_ = initial_state(config_.judged(), dice_.next());
  looked_up_.assign(config_.by_number.nodes.size(), false);
  looks_up_ = looked_up_;
  look_up_names();
  let_leave();
  think();
}

void SimulatedProxy::restart(Span down) {
  if (!state_) return;
  if (trace) trace("pgsteer " + std::to_string(index_ + 1) + " ends");
  ++life_;
  state_.reset();
  inbox_.clear();
  stalled_ = frozen_ = thinking_ = false;
  sessions_.freeze(true);
  sessions_.restart();
  sessions_.known_address.assign(config_.by_number.nodes.size(), kNoAddress);
  agenda_.after(down, [this, life = life_] {
    if (life != life_) return;
    if (trace) trace("pgsteer " + std::to_string(index_ + 1) + " starts");
    config_.start();
    reload_due_ = false;
    invariants_ = std::make_unique<Invariants>(config_, cluster_, sessions_, agenda_, index_);
    sessions_.freeze(false);
    start();
  });
}

void SimulatedProxy::stall(bool yes) {
  if (!state_) return;
  const bool stood = stalled_ || frozen_;
  stalled_ = yes;
  if (yes) invariants_->stand_still(true);
  if (stood && !stalled_ && !frozen_) move_on();
}

void SimulatedProxy::freeze(bool yes) {
  if (!state_) return;
  const bool stood = stalled_ || frozen_;
  frozen_ = yes;
  if (yes) invariants_->stand_still(false);
  sessions_.freeze(yes);
  if (stood && !stalled_ && !frozen_) move_on();
}

void SimulatedProxy::move_on() {
  invariants_->go_on();
  for (Arrival& a : inbox_) expire(a.evidence, config_.by_number.health.timeout, agenda_.now());
  think();
}

// Numeric hosts are known at once, and told again after each reload; only names need lookups.
void SimulatedProxy::look_up_names() {
  for (std::size_t i = 0; i < looked_up_.size(); ++i) {
    if (config_.node(i) == Place::kAbsent) continue;
    if (numeric_address(config_.by_number.nodes[i].host)) {
      looked_up_[i] = true;
      inbox_.push_back({AddressEvidence{i, {address_of(i, 0)}}, {}});
    } else if (!looks_up_[i]) {
      looks_up_[i] = true;
      resolve(i);
    }
  }
}

// Names are looked up every ten seconds, and every second while pgsteer hunts.
void SimulatedProxy::resolve(std::size_t node) {
  const bool slow = cluster_.net.names[node].slow > 0;
  const Span takes = slow ? dice_.between(milliseconds(100), seconds(6))
                          : dice_.between(milliseconds(1), milliseconds(20));
  agenda_.after(takes, [this, node, life = life_, stay = stay_[node]] {
    if (life != life_ || stay != stay_[node]) return;
    look_up(node);
    const bool hunts = state_ && state_->rounds.hunting;
    agenda_.after(hunts ? Span(seconds(1)) : kNamePeriod, [this, node, life, stay] {
      if (life == life_ && stay == stay_[node]) resolve(node);
    });
  });
}

void SimulatedProxy::look_up(std::size_t node) {
  const ModelNetwork::Name& name = cluster_.net.names[node];
  looked_up_[node] = true;
  AddressEvidence e{node, {}};
  if (name.failures == 0) {
    e.addresses.push_back(address_of(node, name.address));
    if (name.second) e.addresses.push_back(address_of(node, 99));
    sessions_.known_address[node] = name.address;
  }
  arrive({std::move(e), {}});
}

void SimulatedProxy::arrive(Arrival arrival) {
  inbox_.push_back(std::move(arrival));
  if (thinking_ || !runs()) return;
  if (!batches_) return think();
  thinking_ = true;
  agenda_.after(dice_.between(milliseconds(0), milliseconds(3)), [this, life = life_] {
    if (life == life_) think();
  });
}

void SimulatedProxy::think() {
  thinking_ = false;
  if (!runs()) return;
  if (reload_due_) take_configuration();
  const std::vector<Evidence> evidence = take_inbox();
  ++counts.judged;
  follow(judge(config_.judged(), *state_, evidence, agenda_.now()));
  if (dice_.chance(0.01)) check_idempotence();
}

// For judge, and told to the rules; what is about absent nodes is void.
std::vector<Evidence> SimulatedProxy::take_inbox() {
  std::vector<Evidence> evidence;
  for (Arrival& a : std::exchange(inbox_, {})) {
    auto judged = at_entry(a.evidence);
    if (!judged) continue;
    if (const auto* e = std::get_if<AddressEvidence>(&a.evidence);
        e && !e->addresses.empty() && sessions_.known_address[e->node] == kNoAddress) {
      sessions_.known_address[e->node] = 0;
    }
    invariants_->answered(a.evidence, a.read_shown);
    evidence.push_back(std::move(*judged));
  }
  return evidence;
}

// Called again at the same moment without evidence, it has nothing to add.
void SimulatedProxy::check_idempotence() {
  const Decision again = judge(config_.judged(), *state_, {}, agenda_.now());
  if (again.topology || !again.requests.empty() || !again.transitions.empty()) {
    invariants_->fail("judge decides again without evidence");
  }
  follow(again);
}

void SimulatedProxy::follow(const Decision& of_judge) {
  const Decision decision = by_number(of_judge);
  if (decision.wake <= agenda_.now()) invariants_->fail("judge wants to be called at once");
  invariants_->deciding(decision);
  for (const Transition& t : decision.transitions) {
    mix(static_cast<std::uint64_t>(t.kind));
    if (trace) trace("pgsteer " + std::to_string(index_ + 1) + ": " + t.text);
  }
  if (decision.topology) {
    publish(true);
  } else if (decision.renewed) {
    publish(false);
  }
  for (const Request& request : decision.requests) carry_out(request);
  if (of_judge.nominated) nominate(*of_judge.nominated);
  invariants_->decided(decision, *state_);
  const std::uint64_t serial = ++wake_serial_;
  const Span late = batches_ ? dice_.between(milliseconds(0), milliseconds(3)) : Span(0);
  agenda_.at(decision.wake + late, [this, serial, life = life_] {
    if (wake_serial_ == serial && life == life_) think();
  });
}

void SimulatedProxy::publish(bool anew) {
  const Topology topology = config_.spread(state_->published);
  if (anew) ++counts.topologies;
  invariants_->published(topology, !anew);
  for (const Pool& pool : topology.pools) {
    for (const Verdict& v : pool.by_node) mix(static_cast<std::uint64_t>(v.reason));
  }
  sessions_.observe();
  sessions_.adopt(topology);
}

void SimulatedProxy::carry_out(const Request& request) {
  ++counts.requests;
  mix(request.node * 8 + static_cast<std::uint64_t>(request.kind));
  if (trace && traces_requests) {
    trace("pgsteer " + std::to_string(index_ + 1) + " asks " + model_name(request.node) + " for " +
          to_string(request.kind));
  }
  invariants_->asked(request);
  if (of_rest(request.kind)) return ask_rest(request);
  ask_port(request);
}

void SimulatedProxy::end_rest(const Request& request, Instant sent, const ModelReply& reply) {
  arrive({evidence_of(request, sent, agenda_.now(), reply), reply.read_shown});
}

void SimulatedProxy::ask_rest(const Request& request) {
  const Instant sent = agenda_.now();
  const Span timeout = config_.by_number.health.timeout;
  const auto deliver = [this, request, sent, life = life_,
                        stay = stay_[request.node]](const ModelReply& reply) {
    if (life == life_ && stay == stay_[request.node]) end_rest(request, sent, reply);
  };
  const unsigned address = sessions_.known_address[request.node];
  if (address == kNoAddress) {
    // The first lookup of a name may take as long as a check.
    ModelReply reply;
    reply.outcome = Outcome::kUnresolved;
    const Span takes = looked_up_[request.node] ? Span(milliseconds(1)) : timeout;
    agenda_.after(takes, [deliver, reply] { deliver(reply); });
    return;
  }
  cluster_.ask({index_, request.node, address}, request.kind, timeout, deliver);
}

void SimulatedProxy::ask_port(const Request& request) {
  using Connect = ModelCluster::Connect;
  const std::size_t i = request.node;
  const Instant sent = agenda_.now();
  const Connect c = cluster_.connect({index_, i, sessions_.known_address[i]});
  const bool waits = c == Connect::kTimedOut || c == Connect::kHung;
  agenda_.after(waits ? kPortDeadline : Span(milliseconds(1)),
                [this, request, i, sent, c, life = life_, stay = stay_[i]] {
                  if (life != life_ || stay != stay_[i]) return;
                  const bool lives = c == Connect::kAccepted || c == Connect::kTurnedAway;
                  if (request.kind == ProbeKind::kTls) {
                    const TlsAnswer tls = cluster_.nodes[i].tls ? TlsAnswer::kYes : TlsAnswer::kNo;
                    return arrive({TlsEvidence{i, lives ? tls : TlsAnswer::kUnknown}, {}});
                  }
                  auto answer = DatabaseAnswer::kUnreachable;
                  if (lives) answer = DatabaseAnswer::kAnswers;
                  if (c == Connect::kRefused) answer = DatabaseAnswer::kRefused;
                  if (c == Connect::kHung) answer = DatabaseAnswer::kHung;
                  arrive({DatabaseEvidence{i, sent, agenda_.now(), answer}, {}});
                });
}

void SimulatedProxy::after_step() {
  if (!state_ || frozen_) return;
  sessions_.observe();
  sessions_.check_expiry();
  invariants_->after_step(*state_);
}

}  // namespace pgsteer
