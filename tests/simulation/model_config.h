// The configuration of one pgsteer: what its operator writes, and what is in force. The model, its
// sessions and the rules count nodes by their place in ModelCluster, and listeners by their place
// in the first draw; judge counts the entries of its own Config, in the order of the file. The two
// meet where the simulated pgsteer calls judge, and nowhere else. One owner, one thread.
//
// A node that is removed from the file stays in force as `leaving` while a session is on it, and
// goes for good after that. So does a listener. Sessions and judge take a configuration at the same
// moment; what happens between the two is a matter of the component tests.
#pragma once

#include "config/nominees.h"
#include "config/running.h"
#include "tests/simulation/profile.h"

namespace pgsteer {

enum class Place : std::uint8_t { kAbsent, kListed, kLeaving };

// What an operator changes in the file before a reload.
enum class Edit : std::uint8_t {
  kNothing,
  kOrderOfNodes,
  kAddNode,  // of ours or a stranger; also one that was removed before
  kRemoveNode,
  kBringBack,  // a node that is leaving
  kWeight,
  kMaxLag,
  kTags,
  kDrainTimeout,
  kFallback,
  kHealth,
  kDiscover,  // on or off, where it was on at the start
  kAddListener,
  kRemoveListener,
  kOrderOfListeners,
  kTarget,
};
inline constexpr std::size_t kEdits = static_cast<std::size_t>(Edit::kTarget) + 1;
const char* to_string(Edit);

class ModelConfig {
 public:
  // `all` has every node of the model and every listener that there can be, by number. The file
  // begins without spare nodes, strangers and the last listener.
  ModelConfig(const Config& all, const ModelSettings& model);
  ModelConfig(const ModelConfig&) = delete;  // others hold on to by_number
  ModelConfig& operator=(const ModelConfig&) = delete;

  void start();  // a new process has read the file: nobody is leaving
  // Those of judge, in place of the ones before; by the next reload they are nodes.
  void nominate(std::vector<NodeConfig> nodes);
  void reload();                          // the file is in force now
  bool let_leave(const UsedSlots& used);  // false: nobody could go

  // As judge has it.
  const Config& judged() const { return running_->config; }
  std::optional<std::size_t> entry_of(std::size_t node) const;  // its index in judged()
  std::size_t node_at(std::size_t entry) const { return running_->slots.nodes[entry]; }
  // By number; absent nodes and listeners take nobody.
  Topology spread(const Topology& of_judge) const;

  Place node(std::size_t i) const { return nodes_[i]; }
  Place listener(std::size_t l) const { return listeners_[l]; }

  // In force, by number; what is absent is as it was last.
  Config by_number;  // also its cluster
  // What a reload or a new process would read, in its order.
  Config file;

 private:
  void take(Config next);

  std::vector<Place> nodes_, listeners_;
  RunningPtr running_;  // its slots are the numbers
  Nominees nominees_;
};

// Changes config.file; now and then there is nothing to change. There is always a node of ours in
// it, and more of ours than strangers.
void edit(ModelConfig& config, Edit what, const ModelCluster& cluster, Dice& dice);

}  // namespace pgsteer
