// Which nodes discovery adds, and which it takes away. A node is used that a member of our cluster
// has listed, no other; it gets a session once its own answer has shown that it is one of ours, and
// a stranger never does. It is found in time while the primary is proven and a member answers,
// stays as long as it is listed or answers, and is forgotten in time after that. While no list can
// be read nobody is forgotten.
#pragma once

#include "tests/simulation/ledger.h"

namespace pgsteer {

class DiscoveryRules {
 public:
  explicit DiscoveryRules(Scene& scene) : s_(scene), nodes_(scene.size()) {}

  void answered(const Evidence& evidence);
  void decided() const;
  void bound(const ModelSession& session) const;
  void after_step();
  void reloading(const Change& change);

 private:
  struct Found {
    bool listed = false;             // a member of ours has listed it
    std::optional<Instant> absent;   // since when the lists that were read leave it out
    Instant strange{};               // when it last was a stranger
    bool ours = false;               // it has shown that it is one of ours, since it is in force
    std::optional<Instant> missing;  // since when it should have been found
  };

  void check_missing(std::size_t i, bool calm);
  void check_forgotten(std::size_t i) const;
  bool reads_list() const;
  std::optional<Instant> lost(std::size_t i) const;

  Scene& s_;
  std::vector<Found> nodes_;
};

}  // namespace pgsteer
