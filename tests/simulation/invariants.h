// What pgsteer promises, checked after every step against what it was told and against the true
// state of the model. A violation is one sentence; the first one ends the run. One owner, one
// thread.
//
// Rules about the truth have bounds in time, from the settings of [health] and the model's
// latencies; rules about evidence hold at the moment at which judge has taken it in. By subject:
//
//   write_rules.h     where sessions that write may be, how fast they get there, and what cuts them
//   table_rules.h     the rows of the table in docs/guarantees.md, evidence against verdict
//   read_rules.h      where sessions that read may be
//   request_rules.h   how often nodes are asked what
//   reload_rules.h    what a reload of the configuration may change
//   discovery_rules.h which nodes are found, and which are forgotten
//   record_rules.h    what is published and announced, and until when it is to be believed
#pragma once

#include "tests/simulation/discovery_rules.h"
#include "tests/simulation/read_rules.h"
#include "tests/simulation/record_rules.h"
#include "tests/simulation/reload_rules.h"
#include "tests/simulation/request_rules.h"
#include "tests/simulation/table_rules.h"
#include "tests/simulation/write_rules.h"

namespace pgsteer {

class Invariants {
 public:
  Invariants(const ModelConfig& config, const ModelCluster& cluster, const ModelSessions& sessions,
             const Agenda& agenda, std::size_t proxy);
  Invariants(const Invariants&) = delete;
  Invariants& operator=(const Invariants&) = delete;

  // From the driver.
  void asked(const Request& request);
  void answered(const Evidence& evidence, Instant read_shown);
  void published(const Topology& topology, bool renewed);
  void deciding(const Decision& decision);  // before it is carried out
  void decided(const Decision& decision, const JudgeState& state);
  void cut(const ModelSession& session, const Verdict& verdict);
  void bound(const ModelSession& session);
  void after_step(const JudgeState& state);
  // pgsteer stands still, or its checker thread alone does; and goes on.
  void stand_still(bool checker_alone);
  void go_on();
  // A reload, in this order: judge has taken in what it had heard; the configuration is another;
  // judge has decided by it.
  Change note_before(const Config& judged, const JudgeState& state) const;
  void reloading(const Change& change, const JudgeState& state);
  void reloaded(const Change& change);

  void fail(std::string text) { scene_.fail(std::move(text)); }
  const std::string& violation() const { return scene_.violation; }

 private:
  Scene scene_;
  WriteRules writes_;
  TableRules table_;
  ReadRules reads_;
  RequestRules requests_;
  RecordRules records_;
  ReloadRules reloads_;
  DiscoveryRules discoveries_;

  using Fences = std::vector<std::optional<Instant>>;
  Fences fences(const Config& judged, const JudgeState& state) const;
};

}  // namespace pgsteer
