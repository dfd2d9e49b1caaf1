// How often nodes are asked what. Polite: at most one request at a time for a REST API, at least
// `interval` apart while all is well, and bounded otherwise. Diligent: a node that answers is asked
// again in time.
#pragma once

#include "tests/simulation/ledger.h"

namespace pgsteer {

class RequestRules {
 public:
  explicit RequestRules(Scene& scene) : s_(scene), nodes_(scene.size()) {}

  void asked(const Request& request);
  void answered(const Evidence& evidence);
  void deciding(const Decision& decision);
  void decided();
  void after_step();
  void forget();
  void reloading(const Change& change);

 private:
  struct Asked {
    Instant leader{}, database{}, cluster{}, list_due{};
    Instant easy_since{};  // there is no reason to check the node more often than the others
    bool database_in_flight = false, tls_in_flight = false, tls_asked = false;
    Span step{};  // the longest time between two checks, and since when that is so
    Instant step_since{};
    Instant other_ended{};  // another request than GET /leader

    std::vector<Instant> recent, checks;  // requests of REST and checks of the port in a second
  };

  void asked_leader(std::size_t i);
  void asked_other(std::size_t i, ProbeKind kind);
  void asked_port(std::size_t i, ProbeKind kind);
  Span step(std::size_t i) const;
  bool calm() const;  // the primary is proven, and nothing is in doubt
  bool troubled(std::size_t i) const;
  void impolite(std::size_t i, const char* what, Span gap) const;

  Scene& s_;
  std::vector<Asked> nodes_;
  Instant config_asked_{}, members_asked_{}, calm_since_{};
  bool config_known_ = false;
  bool alarmed_ = false;  // more than one node claims to be the primary
  std::vector<Instant> recent_;
};

}  // namespace pgsteer
