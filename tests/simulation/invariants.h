// What pgsteer promises, checked after every step against the true state of the model. A violation
// is one sentence; the first one ends the run. One owner, one thread.
//
// The bounds, from the settings of [health] and the model's latencies:
//
// clang-format off
//   learning   a node that answers promptly is asked again within interval (+ a tenth of jitter)
//              after the request in flight, if there is one; the reply takes at most 130 ms; a
//              GET /config may take the place of one check, which costs another interval
//   silence    interval + timeout + interval + 500 ms + 130 ms: the longest time that a node can be
//              unproven before two attempts have failed, or one has failed and the next is late
//
// A node W that is not the rightful primary has no session after
//
//   deny       `learning`, if W itself reports that it neither leads nor takes writes
//   outshone   `learning`, if another node shows the lease and takes writes on a higher timeline
//   fence      the moment at which the key was lost, if W shows no lease; `silence` later, if it
//              showed the lease shortly before. Added to it: a recent step of W's clock, the age
//              that the answer of a witness may have, and the time that a resumed cluster takes to
//              report that it is not paused any more. In a paused cluster no clock counts: the node
//              that took the key has to be asked and to report it
// clang-format on
#pragma once

#include "health/judge.h"
#include "tests/simulation/model_sessions.h"

namespace pgsteer {

class Invariants {
 public:
  Invariants(const Config& config, const ModelCluster& cluster, const ModelSessions& sessions,
             const Agenda& agenda);

  // From the driver.
  void asked(const Request& request, Instant due_at_most);
  void answered(const Evidence& evidence, const ModelNode& node);
  void published(const Topology& topology);
  void cut(const ModelSession& session, const Verdict& verdict);
  void bound(const ModelSession& session);
  void after_step(const JudgeState& state);

  std::string violation;  // empty: none

 private:
  // Since when a condition has held without a break, and when pgsteer must know it.
  struct Standing {
    std::optional<Instant> since;
    Instant must_be_known{};
  };
  struct Watch {
    Standing wrong, unleased, denies, outshone, not_writable, serves, good_replica, witnessed,
        paused;
    Instant slot_free{};       // the request in flight ends by then
    Instant other_ask{};       // when the slot was last given to something but /leader
    Instant proof_received{};  // of the last reply that showed the lease
    Instant proof_sent{};
    Instant read_shown{};  // the true time of the read shown in it
    Standing below;        // another shows a higher timeline than it is on
    Standing usurped;      // another took the key, is writable and says so
    Instant last_hung{};   // when a witness could last count for it
    bool proof_failsafe = false;
    bool shows_neither = false;  // the last reply: neither lease nor write position
  };

  void stand(Standing& s, bool holds, std::size_t learn_from);
  Instant learning(std::size_t node, Instant from) const;
  void update(std::size_t i);
  void update_silence(std::size_t i);
  std::optional<std::size_t> outshining(std::size_t i) const;
  Instant fence_bound(std::size_t i) const;
  void check_writes(std::size_t i, bool open, bool live);
  void check_service(std::size_t i, bool open);
  void check_replica(std::size_t i);
  void check_held();
  bool excused(const ModelSession& session) const;
  void fail(std::string text);

  const Config& config_;
  const ModelCluster& cluster_;
  const ModelSessions& sessions_;
  const Agenda& agenda_;
  Topology topology_;
  bool first_round_done_ = false;
  std::vector<Watch> watch_;
};

}  // namespace pgsteer
