// Where sessions that write may be. The bounds:
//
// clang-format off
//   learning   a node that answers promptly is asked again within interval (+ a tenth of jitter)
//              after the request in flight, if there is one; the reply takes at most 130 ms; another
//              request may take the place of one check, which costs another interval. While no
//              primary is admitted, hunt_interval stands for interval, and 250 ms after 30 s
//   silence    interval + timeout + interval + 500 ms + 130 ms: the longest time that a node can be
//              unproven before two attempts have failed, or one has failed and the next is late
//
// A node W that is not the rightful primary has no session after
//
//   deny       `learning`, if W itself reports that it neither leads nor takes writes
//   outshone   `learning`, if another node shows the lease and takes writes on a higher timeline
//   usurped    the same on any timeline, once W is silent: `silence` and `learning`, and a second
//              for the question whom the store names
//   fence      the moment at which the key was lost, if W shows no lease; `silence` later, if it
//              showed the lease shortly before. Added to it: a recent step of W's clock, the age
//              that the answer of a witness may have, and the time that a resumed cluster takes to
//              report that it is not paused any more. In a paused cluster no clock counts, nor while
//              no node in sight could take over: the node that took the key has to be asked and to
//              report it
//
// A rightful primary that shows it is admitted after `learning`; one whose REST API hangs, but which
// a member finds named in the store, keeps its sessions or gets new ones.
// clang-format on
#pragma once

#include "tests/simulation/ledger.h"

namespace pgsteer {

// Since when a condition has held without a break, and when pgsteer must know it.
struct Standing {
  std::optional<Instant> since;
  Instant must_be_known{};
};

class WriteRules {
 public:
  explicit WriteRules(Scene& scene) : s_(scene), watch_(scene.size()) {}

  void published();
  void cut(const ModelSession& session, const Verdict& verdict);
  void bound(const ModelSession& session);
  void after_step();
  void forget();  // pgsteer stood still: every condition begins anew
  void reloading(const Change& change);

 private:
  struct Watch {
    Standing wrong, unleased, denies, outshone, usurped, not_writable, serves, below, agreed;
    Standing witnessed, paused, backed, heirless, blind;
    std::optional<Instant> shown_alone;  // since when it shows the lease without a break
    Instant last_hung{};                 // when a witness could last count for it
    Instant last_backed{}, last_heirless{}, last_blind{}, last_paused{};  // somebody says so
    std::optional<Instant> open_since;  // admitted, and its port answers
    std::size_t below_whom = 0;
    bool named = false;  // at least two members find it in the store
  };

  void stand(Standing& s, bool holds, std::size_t learn_from);
  void update(std::size_t i);
  void update_support(std::size_t i);
  bool accepts(std::size_t i) const;
  bool accepted() const;
  bool hangs(std::size_t i) const;
  bool is_barred(std::size_t k, std::size_t from, bool surely) const;
  std::optional<std::size_t> outshining(std::size_t i) const;
  bool eclipsed(std::size_t i) const;
  Instant fence_bound(std::size_t i) const;
  Instant earliest_fence(std::size_t i) const;
  Span longest_ttl() const;
  Span shortest_lease(bool failsafe, bool two_reads) const;
  void check_writes(std::size_t i, bool open, bool live);
  void check_service(std::size_t i, bool open);
  void check_support(std::size_t i, bool open);
  void check_held();
  bool excused(const ModelSession& session) const;

  Scene& s_;
  std::vector<Watch> watch_;
  std::optional<std::size_t> last_primary_;  // that this pgsteer had
};

}  // namespace pgsteer
