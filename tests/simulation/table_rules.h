// The rows of the table in docs/guarantees.md: what the last answers of the nodes say, against the
// verdicts at the moment at which judge has taken the answers in. These rules know nothing of the
// truth and have no bounds in time.
#pragma once

#include "tests/simulation/ledger.h"

namespace pgsteer {

class TableRules {
 public:
  explicit TableRules(Scene& scene) : s_(scene) {}
  void decided();

 private:
  void check_node(std::size_t i);
  void check_claims();
  void check_leader(std::size_t i);
  void check_port(std::size_t i);
  void check_reason(std::size_t i);
  void check_elsewhere(std::size_t i);
  bool named_by_others(std::size_t i) const;
  void check_turned_away(std::size_t i);
  bool ours(std::size_t i) const;    // as the verdicts say
  bool claims(std::size_t i) const;  // the lease and a write position, by the last answer
  bool late(std::size_t i) const;
  const Verdict& writes(std::size_t i) const { return s_.topology.pools[kReadWrite].by_node[i]; }
  void violated(std::size_t i, const char* rule) const;

  Scene& s_;
};

}  // namespace pgsteer
