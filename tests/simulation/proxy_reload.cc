// A pgsteer whose configuration is read again, and the border between its judge, which counts the
// entries of its configuration, and the rest of the model.
#include <algorithm>

#include "tests/simulation/proxy.h"

namespace pgsteer {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

std::size_t& node_of(Evidence& evidence) {
  return std::visit(
      [](auto& e) -> std::size_t& {
        if constexpr (requires { e.suspicion; }) {
          return e.suspicion.node;
        } else {
          return e.node;
        }
      },
      evidence);
}

}  // namespace

// Empty: judge does not know the node.
std::optional<Evidence> SimulatedProxy::at_entry(Evidence evidence) const {
  const auto entry = config_.entry_of(node_of(evidence));
  if (!entry) return std::nullopt;
  node_of(evidence) = *entry;
  return evidence;
}

Decision SimulatedProxy::by_number(Decision decision) const {
  for (Request& request : decision.requests) request.node = config_.node_at(request.node);
  for (Transition& t : decision.transitions) {
    if (t.node) t.node = config_.node_at(*t.node);
  }
  return decision;
}

void SimulatedProxy::reload(Edit what) {
  edit(config_, what, cluster_, dice_);
  if (trace) {
    trace("pgsteer " + std::to_string(index_ + 1) +
          " reads its configuration again: " + to_string(what));
  }
  if (!state_) return;
  reload_due_ = true;
  if (runs()) think();
}

// As the checker does (checker_reload.cc): what it has heard is judged by the configuration before.
void SimulatedProxy::take_configuration() {
  reload_due_ = false;
  const std::vector<Evidence> evidence = take_inbox();
  follow(judge(config_.judged(), *state_, evidence, agenda_.now()));
  const Config before = config_.judged();
  const Change change = invariants_->note_before(before, *state_);
  config_.reload();
  carry(change, before);
}

// Another thread puts them in force, at once or when it has done with a reload.
void SimulatedProxy::nominate(const std::vector<NodeConfig>& nodes) {
  config_.nominate(nodes);
  agenda_.after(dice_.skewed(milliseconds(1), seconds(1)), [this, life = life_] {
    if (life != life_) return;
    reload_due_ = true;
    if (runs()) think();
  });
}

// Once a second: who is leaving and has no session goes for good.
void SimulatedProxy::let_leave() {
  agenda_.after(seconds(1), [this, life = life_] {
    if (life != life_) return;
    let_leave();
    if (!runs() || reload_due_ || !any_leaving(config_.judged())) return;
    const std::vector<Evidence> evidence = take_inbox();
    follow(judge(config_.judged(), *state_, evidence, agenda_.now()));
    const Config before = config_.judged();
    const Change change = invariants_->note_before(before, *state_);
    if (config_.let_leave(sessions_.used())) carry(change, before);
  });
}

void SimulatedProxy::carry(const Change& change, const Config& before) {
  for (std::size_t i = 0; i < stay_.size(); ++i) {
    if (config_.node(i) != Place::kAbsent || change.nodes[i] == Place::kAbsent) continue;
    ++stay_[i];
    looks_up_[i] = looked_up_[i] = false;
    sessions_.known_address[i] = kNoAddress;
  }
  state_ = carry_over(before, config_.judged(), std::move(*state_));
  invariants_->reloading(change, *state_);
  look_up_names();
  const std::vector<Evidence> addresses = take_inbox();
  follow(judge(config_.judged(), *state_, addresses, agenda_.now()));
  invariants_->reloaded(change);
}

}  // namespace pgsteer
