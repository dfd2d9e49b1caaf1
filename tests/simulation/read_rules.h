// Where sessions that read may be. By the last answer: not on another cluster's node, one whose
// PostgreSQL does not run, one without the tags or the synchronous state that the listener asks
// for, nor one tagged noloadbalance. By the truth: not for long on a node that lags beyond the
// limit, and a healthy replica is admitted.
#pragma once

#include "tests/simulation/ledger.h"

namespace pgsteer {

class ReadRules {
 public:
  explicit ReadRules(Scene& scene)
      : s_(scene),
        good_(scene.size()),
        regions_(scene.size()),
        cut_off_(scene.size()),
        lags_(scene.config.listen.size(), Since(scene.size())),
        near_(lags_) {}

  void decided();
  void after_step();
  void cut(const ModelSession& session, const Verdict& verdict);
  void forget();
  void reloading(const Change& change);

 private:
  using Since = std::vector<std::optional<Instant>>;  // by node

  void check_answer(std::size_t listener, std::size_t i);
  void check_full(std::size_t listener, std::size_t i);
  void check_healthy(std::size_t i);
  void check_lag(std::size_t i);
  void check_silent(std::size_t listener, std::size_t i);
  void check_cut_off(std::size_t i);
  void check_promoted(std::size_t listener, std::size_t i);
  bool diverged(const Report& r) const;
  bool perhaps_diverged(const Report& r) const;
  bool keeps_up(std::size_t i) const;
  bool fits(const ListenConfig& listen, std::size_t i) const;
  std::optional<std::size_t> leader() const;
  void violated(std::size_t listener, std::size_t i, const std::string& rule) const;

  Scene& s_;
  Since good_;                        // since when healthy beyond question
  std::vector<std::string> regions_;  // at that time

  Since cut_off_;            // since when it does not replicate
  std::vector<Since> lags_;  // [listener]: since when above the limit
  std::vector<Since> near_;  // since when between three quarters of it and all
};

}  // namespace pgsteer
