// One simulated pgsteer: judge with its driver, as the checker is, the sessions of its workers, and
// the invariants that watch both. It may be restarted, stand still, and learn names late. One
// owner, one thread.
#pragma once

#include <memory>

#include "tests/simulation/invariants.h"
#include "tests/simulation/profile.h"

namespace pgsteer {

struct ProxyCounts {
  std::uint64_t topologies = 0, requests = 0, judged = 0;
};

class SimulatedProxy {
 public:
  // `all`: see draw_config().
  SimulatedProxy(std::size_t index, const Config& all, ModelCluster& cluster, Agenda& agenda,
                 Dice& dice);
  SimulatedProxy(const SimulatedProxy&) = delete;
  SimulatedProxy& operator=(const SimulatedProxy&) = delete;

  std::function<void(const std::string&)> trace;  // empty: nobody listens
  bool traces_requests = false;

  void start();
  void restart(Span down);
  void stall(bool yes);   // the checker thread alone
  void freeze(bool yes);  // the whole process
  void reload(Edit what);
  bool runs() const { return state_.has_value() && !stalled_ && !frozen_; }

  void server_ends(std::size_t node, bool host_died) { sessions_.server_ends(node, host_died); }
  void after_step();

  const std::string& violation() const { return invariants_->violation(); }
  const SessionCounts& session_counts() const { return sessions_.counts; }
  ProxyCounts counts;
  std::uint64_t hash = 0xcbf29ce484222325ULL;

 private:
  struct Arrival {
    Evidence evidence;
    Instant read_shown{};  // the true time of the read of the store that it shows
  };

  void resolve(std::size_t node);
  void look_up(std::size_t node);
  void look_up_names();
  void arrive(Arrival arrival);
  void think();
  std::vector<Evidence> take_inbox();
  std::optional<Evidence> at_entry(Evidence evidence) const;
  Decision by_number(Decision decision) const;
  void take_configuration();
  void nominate(const std::vector<NodeConfig>& nodes);
  void carry(const Change& change, const Config& before);
  void let_leave();
  void check_idempotence();
  void follow(const Decision& decision);
  void publish(bool anew);
  void carry_out(const Request& request);
  void ask_port(const Request& request);
  void ask_rest(const Request& request);
  void end_rest(const Request& request, Instant sent, const ModelReply& reply);
  void move_on();
  void mix(std::uint64_t value) { hash = (hash ^ value) * 0x100000001b3ULL; }

  std::size_t index_;
  ModelConfig config_;
  ModelCluster& cluster_;
  Agenda& agenda_;
  Dice& dice_;
  ModelSessions sessions_;
  std::unique_ptr<Invariants> invariants_;
  std::optional<JudgeState> state_;  // empty: the process does not run
  std::vector<Arrival> inbox_;
  bool thinking_ = false;  // a call of judge is due for the inbox
  bool stalled_ = false, frozen_ = false;
  bool batches_ = false;         // evidence of some milliseconds is taken in at once
  unsigned life_ = 0;            // what belongs to an earlier process is void
  std::vector<bool> looks_up_;   // its name is being looked up again and again
  std::vector<bool> looked_up_;  // the first lookup of its name has ended
  // How often the node has gone for good: what belongs to an earlier stay is void.
  std::vector<unsigned> stay_;
  bool reload_due_ = false;  // there is another configuration for judge
  std::uint64_t wake_serial_ = 0;
};

}  // namespace pgsteer
