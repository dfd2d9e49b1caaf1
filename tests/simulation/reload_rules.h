// What a reload may change: nothing but what was edited. Who is admitted, drained or cut before it
// is so after it, the primary stays the primary, and no deadline moves. A removed node gets no
// session from that moment on, and keeps the ones that it has until the drain_timeout of their
// listener or until something ends them that would have done so anyway. An added node serves once
// it has answered itself, or members have named it in the store; a stranger never does, and
// changes nothing about the others. The rules of the other files hold through all of it.
//
// Two exceptions. What keeps a silent primary may be known of a node that goes for good: that it
// cannot take the lease, say, or that the cluster is paused. Then the fence deadline counts again.
// And while it is not clear yet which cluster is ours, the nodes that are listed may decide it.
#pragma once

#include "tests/simulation/ledger.h"

namespace pgsteer {

class ReloadRules {
 public:
  explicit ReloadRules(Scene& scene) : s_(scene), left_(scene.size()), named_(scene.size()) {}

  void decided();
  void cut(const ModelSession& session, const Verdict& verdict);
  void bound(const ModelSession& session);
  void after_step() const;
  // Between the two configurations; judge's state is that for the new one.
  void reloading(const Change& change, const std::vector<std::optional<Instant>>& fences);
  void reloaded(const Change& change);

 private:
  void note_named();
  void check_pool(const Change& change, std::size_t listener);
  void check_primary(const Change& change);
  void check_deadlines(const Change& change, const std::vector<std::optional<Instant>>& fences);
  bool stands_in(const Change& change, std::size_t listener, std::size_t i) const;
  bool forbidden(std::size_t listener, std::size_t i) const;
  bool unsupported(const Change& change, std::size_t i, const Verdict& is) const;
  void violated(const Change& change, std::size_t listener, std::size_t i) const;

  Scene& s_;
  std::vector<std::optional<Instant>> left_;  // since when it is leaving
  std::vector<bool> named_;                   // as the leader, while it was the primary
  const Change* now_ = nullptr;               // the reload that is going on
};

}  // namespace pgsteer
