// How the model answers pgsteer's requests: what the network and the REST API make of them, and
// PostgreSQL's port.
#include "tests/simulation/model_cluster.h"

namespace pgsteer {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {
// The kernel completes this many connections for a process that accepts none (listen(5)).
constexpr unsigned kBacklog = 6;
}  // namespace

ModelCluster::Connect ModelCluster::connect(const Route& route) const {
  const ModelNode& n = nodes[route.node];
  if (!n.on || n.frozen || net.proxy[route.proxy][route.node].sql > 0) return Connect::kTimedOut;
  if (n.address != route.address) return Connect::kTimedOut;
  if (n.postmaster_hangs > 0 && n.postgres == PostgresLife::kRunning) return Connect::kHung;
  switch (n.postgres) {
    case PostgresLife::kRunning:
      return Connect::kAccepted;
    case PostgresLife::kStarting:
    case PostgresLife::kStopping:
      return Connect::kTurnedAway;
    default:
      return Connect::kRefused;
  }
}

// Every request gets exactly one reply, within `timeout`.
void ModelCluster::ask(const Route& route, ProbeKind what, Span timeout,
                       std::function<void(ModelReply)> deliver) {
  const std::size_t i = route.node;
  ModelNode& n = nodes[i];
  const Instant deadline = agenda_.now() + timeout;
  const auto fail = [&](Outcome outcome, Span takes) {
    agenda_.after(std::min(takes, timeout), [outcome, deliver] {
      ModelReply r;
      r.outcome = outcome;
      deliver(r);
    });
  };
  const ModelNetwork::Way& way = net.proxy[route.proxy][i];
  if (!n.on || n.frozen || way.rest > 0 || n.address != route.address ||
      n.rest == RestMode::kBacklogFull) {
    return fail(Outcome::kUnreachable, timeout);
  }
  if (n.patroni == PatroniLife::kDead || n.rest == RestMode::kRefusing) {
    return fail(Outcome::kRefused, milliseconds(1));
  }
  if (n.patroni != PatroniLife::kRunning) {
    const bool accepted = ++n.unanswered <= kBacklog;
    return fail(accepted ? Outcome::kSilent : Outcome::kUnreachable, timeout);
  }
  if (n.rest == RestMode::kHung) return fail(Outcome::kSilent, timeout);
  if (n.tls_faults > 0) return fail(Outcome::kTlsFailed, milliseconds(4));
  if (n.rest == RestMode::kEmpty) return fail(Outcome::kEmpty, milliseconds(3));

  Span takes = dice_.skewed(milliseconds(1), milliseconds(60));
  if (n.rest == RestMode::kSlow) takes = dice_.between(milliseconds(100), milliseconds(2'400));
  if (n.rest == RestMode::kQueryFails) takes = dice_.between(milliseconds(1), milliseconds(1'900));
  if (n.postmaster_hangs > 0) takes = dice_.between(milliseconds(1'000), milliseconds(2'100));
  if (what == ProbeKind::kCluster) takes += milliseconds(5);
  if (takes >= timeout) return fail(Outcome::kSilent, timeout);
  // The reply shows the state of a moment between request and reply.
  const Span half = takes / 2;
  const unsigned epoch = n.epoch[0];
  agenda_.after(half, [this, route, what, deadline, half, epoch, deliver = std::move(deliver)] {
    const std::size_t k = route.node;
    const ModelNode& m = nodes[k];
    ModelReply r;
    if (!m.on || stands(k, Process::kPatroni) || net.proxy[route.proxy][k].rest > 0) {
      r.outcome = Outcome::kSilent;
      agenda_.at(deadline, [r, deliver] { deliver(r); });
      return;
    }
    if (m.epoch[0] != epoch) {
      r.outcome = Outcome::kEmpty;
      return deliver(r);
    }
    agenda_.after(half, [deliver, reply = answer(k, what)] { deliver(reply); });
  });
}

}  // namespace pgsteer
