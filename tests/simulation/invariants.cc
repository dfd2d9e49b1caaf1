#include "tests/simulation/invariants.h"

namespace pgsteer {

Invariants::Invariants(const ModelConfig& config, const ModelCluster& cluster,
                       const ModelSessions& sessions, const Agenda& agenda, std::size_t proxy)
    : scene_(config, cluster, sessions, agenda, proxy),
      writes_(scene_),
      table_(scene_),
      reads_(scene_),
      requests_(scene_),
      records_(scene_),
      reloads_(scene_),
      discoveries_(scene_) {
  scene_.started = agenda.now();
}

void Invariants::asked(const Request& request) {
  requests_.asked(request);
  scene_.asked(request);
}

void Invariants::answered(const Evidence& evidence, Instant read_shown) {
  requests_.answered(evidence);
  scene_.answered(evidence, read_shown);
  records_.answered(evidence);
  discoveries_.answered(evidence);
}

void Invariants::published(const Topology& topology, bool renewed) {
  records_.publishing(topology, renewed);
  scene_.published(topology, renewed);
  writes_.published();
}

void Invariants::deciding(const Decision& decision) {
  for (const Transition& t : decision.transitions) {
    if (t.kind != TransitionKind::kSuspicion || t.by_judge) continue;
    scene_.suspected = scene_.now();
    NodeLedger& n = scene_.told[*t.node];
    bool away = false;
    for (const SuspicionKind kind : {SuspicionKind::kConnectRefused, SuspicionKind::kShuttingDown,
                                     SuspicionKind::kInHotStandby}) {
      away |= t.text.find(to_string(kind)) != std::string::npos;
    }
    if (away) n.turned_away = scene_.now();
  }
  requests_.deciding(decision);
}

void Invariants::decided(const Decision& decision, const JudgeState& state) {
  scene_.decided(state);
  records_.decided(decision, state);
  table_.decided();
  reads_.decided();
  requests_.decided();
  reloads_.decided();
  discoveries_.decided();
}

void Invariants::cut(const ModelSession& session, const Verdict& verdict) {
  reloads_.cut(session, verdict);
  if (verdict.reason == Reason::kRemoved && verdict.admission == Admission::kCut) return;
  if (scene_.config.listen[session.listener].to == Target::kPrimary) {
    writes_.cut(session, verdict);
  } else {
    reads_.cut(session, verdict);
  }
}

void Invariants::bound(const ModelSession& session) {
  writes_.bound(session);
  reloads_.bound(session);
  discoveries_.bound(session);
}

void Invariants::after_step(const JudgeState& state) {
  scene_.first_round_done = state.first_round_done;
  writes_.after_step();
  reloads_.after_step();
  if (scene_.stalled) return;
  reads_.after_step();
  requests_.after_step();
  records_.after_step();
  discoveries_.after_step();
}

Invariants::Fences Invariants::fences(const Config& judged, const JudgeState& state) const {
  Fences found(scene_.size());
  for (std::size_t i = 0; i < scene_.size(); ++i) {
    if (const auto entry = scene_.layout.entry_of(i)) {
      found[i] = fence_deadline(judged, state, *entry);
    }
  }
  return found;
}

Change Invariants::note_before(const Config& judged, const JudgeState& state) const {
  Change change{scene_.config,           {}, {}, scene_.topology, fences(judged, state),
                scene_.is_ours_settled()};
  for (std::size_t i = 0; i < scene_.size(); ++i) change.nodes.push_back(scene_.layout.node(i));
  for (std::size_t l = 0; l < scene_.config.listen.size(); ++l) {
    change.listeners.push_back(scene_.layout.listener(l));
  }
  return change;
}

void Invariants::reloading(const Change& change, const JudgeState& state) {
  scene_.reloading(change);
  writes_.reloading(change);
  reads_.reloading(change);
  requests_.reloading(change);
  records_.reloading(change);
  discoveries_.reloading(change);
  reloads_.reloading(change, fences(scene_.layout.judged(), state));
}

void Invariants::reloaded(const Change& change) { reloads_.reloaded(change); }

void Invariants::stand_still(bool checker_alone) {
  scene_.stalled = true;
  if (!checker_alone) writes_.forget();
}

void Invariants::go_on() {
  scene_.stalled = false;
  scene_.resumed = scene_.now();
  for (NodeLedger& n : scene_.told) n.slot_free = std::max(n.slot_free, scene_.now());
  writes_.forget();
  reads_.forget();
  requests_.forget();
}

}  // namespace pgsteer
