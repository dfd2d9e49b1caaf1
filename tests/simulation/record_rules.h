// What is published and announced: generations, the time until which a topology is to be believed,
// transitions that fit the topology, alarms that begin and end. What judge remembers for observers
// is what happened.
#pragma once

#include "tests/simulation/ledger.h"

namespace pgsteer {

class RecordRules {
 public:
  explicit RecordRules(Scene& scene)
      : s_(scene),
        addresses_(scene.size()),
        tls_(scene.size()),
        roles_(scene.size(), NodeRole::kUnknown) {}

  void answered(const Evidence& evidence);
  void publishing(const Topology& topology, bool renewed);  // before the scene knows it
  void decided(const Decision& decision, const JudgeState& state);
  void after_step();
  void reloading(const Change& change);

 private:
  void check_announced(const Decision& decision);
  void check_admissions(const Decision& decision);
  void check_deadline();
  void check_alarms(const JudgeState& state);
  void check_other_alarms(const JudgeState& state);
  void check_memory(const JudgeState& state);
  void check_roles(const Decision& decision, const JudgeState& state);
  void check_modes(const JudgeState& state);

  Scene& s_;
  std::vector<std::vector<Address>> addresses_;
  std::vector<TlsAnswer> tls_;
  std::vector<NodeRole> roles_;  // as announced

  std::size_t alarms_ = 0;            // that were announced and not withdrawn
  std::optional<std::size_t> leads_;  // by the transitions
  bool admitted_ = false;
  std::vector<std::vector<bool>> takes_;  // [listener][node], as announced
  bool reloaded_ = false;                 // and nothing was published since
  std::optional<DcsTimes> times_;         // as announced
  bool learnt_ = false;                   // other times, in this decision
};

}  // namespace pgsteer
