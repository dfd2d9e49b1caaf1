// How the model answers pgsteer's requests: Patroni's replies (api.py) and PostgreSQL's port.
#include "tests/simulation/model_cluster.h"

namespace pgsteer {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

std::int64_t whole_seconds(Instant t) {
  return std::chrono::duration_cast<seconds>(t.time_since_epoch()).count();
}

const char* state_word(PostgresLife life) {
  switch (life) {
    case PostgresLife::kRunning:
      return "running";
    case PostgresLife::kStarting:
      return "starting";
    case PostgresLife::kStopping:
      return "stopping";
    case PostgresLife::kStopped:
      return "stopped";
    case PostgresLife::kCrashed:
      return "crashed";
  }
  return "?";
}

State state_of(PostgresLife life) {
  switch (life) {
    case PostgresLife::kRunning:
      return State::kRunning;
    case PostgresLife::kStarting:
      return State::kStarting;
    case PostgresLife::kStopping:
      return State::kStopping;
    case PostgresLife::kStopped:
      return State::kStopped;
    case PostgresLife::kCrashed:
      return State::kCrashed;
  }
  return State::kOther;
}

}  // namespace

// The body of GET /leader; the query of PostgreSQL runs only while PostgreSQL does.
Report ModelCluster::report(std::size_t i) const {
  const ModelNode& n = nodes[i];
  Report r;
  r.outcome = Outcome::kAnswered;
  r.lease = shows_lease(i);
  r.status = r.lease ? 200 : 503;
  r.detail = r.lease ? "200" : "503";
  r.patroni_version = settings.modern ? "3.3.2" : "3.0.2";
  if (settings.modern) r.patroni_name = model_name(i);
  r.tells_replication_state = settings.modern;
  r.system_identifier = n.system_identifier;
  r.pause = n.paused_view;
  r.noloadbalance = n.noloadbalance;
  r.cluster_unlocked = !n.store_known || !store.leader;
  r.failsafe = n.failsafe;
  r.dcs_last_seen = n.store_seen;
  r.date = whole_seconds(wall(i));
  r.state = state_of(n.postgres);
  r.state_word = state_word(n.postgres);
  r.role = n.memory_role;
  if (n.postgres != PostgresLife::kRunning) return r;
  if (n.rest == RestMode::kQueryFails) {
    r.state = State::kUnknown;
    r.state_word = "unknown";
    return r;
  }
  r.timeline = n.timeline;
  r.role = n.recovery ? Role::kReplica : Role::kPrimary;
  if (n.recovery) {
    r.replayed = r.received = position(i);
    if (streams(i)) r.replication_state = "streaming";
  } else {
    r.location = position(i);
  }
  return r;
}

Evidence ModelCluster::answer(std::size_t i, ProbeKind what, Instant sent) {
  const Instant now = agenda_.now();
  if (what == ProbeKind::kLeader) {
    nodes[i].read_shown = nodes[i].store_read;
    return LeaderEvidence{i, sent, now, report(i)};
  }
  if (what == ProbeKind::kConfig) return ConfigEvidence{i, sent, now, settings.times};
  if (!reaches_store(i)) return ClusterEvidence{i, sent, now, std::nullopt};
  ClusterReport cluster;
  cluster.pause = store.pause;
  for (std::size_t k = 0; k < nodes.size(); ++k) {
    ClusterMember member;
    member.name = model_name(k);
    member.host = "10.0.0." + std::to_string(k + 1);
    member.port = 5432;
    member.api_url = "http://" + member.host + ":8008/patroni";
    member.leader = store.leader == k;
    member.role = member.leader ? "leader" : "replica";
    if (member.leader) cluster.leader = member;
    cluster.members.push_back(std::move(member));
  }
  return ClusterEvidence{i, sent, now, std::move(cluster)};
}

Evidence ModelCluster::failure(std::size_t i, ProbeKind what, Instant sent, Outcome outcome) {
  const Instant now = agenda_.now();
  if (what == ProbeKind::kConfig) return ConfigEvidence{i, sent, now, std::nullopt};
  if (what == ProbeKind::kCluster) return ClusterEvidence{i, sent, now, std::nullopt};
  return LeaderEvidence{i, sent, now, failed_report(outcome, to_string(outcome))};
}

ModelCluster::Connect ModelCluster::connect(std::size_t i) const {
  const ModelNode& n = nodes[i];
  if (!n.on || n.frozen || !n.reaches_pgsteer) return Connect::kTimedOut;
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

// Every request gets exactly one answer, within `timeout`.
void ModelCluster::ask(std::size_t i, ProbeKind what, Span timeout,
                       std::function<void(Evidence)> deliver) {
  const Instant sent = agenda_.now();
  if (what == ProbeKind::kDatabase || what == ProbeKind::kTls) {
    const Connect c = connect(i);
    const Span port_deadline = milliseconds(500);
    const Span takes = c == Connect::kTimedOut ? port_deadline : Span(milliseconds(1));
    agenda_.after(takes, [this, i, what, sent, c, deliver = std::move(deliver)] {
      const bool lives = c == Connect::kAccepted || c == Connect::kTurnedAway;
      if (what == ProbeKind::kTls) {
        return deliver(TlsEvidence{i, lives ? TlsAnswer::kNo : TlsAnswer::kUnknown});
      }
      const auto answer = lives                    ? DatabaseAnswer::kAnswers
                          : c == Connect::kRefused ? DatabaseAnswer::kRefused
                                                   : DatabaseAnswer::kUnreachable;
      deliver(DatabaseEvidence{i, sent, agenda_.now(), answer});
    });
    return;
  }
  const ModelNode& n = nodes[i];
  auto fail = [&](Outcome outcome, Span takes) {
    agenda_.after(takes, [this, i, what, sent, outcome, deliver] {
      deliver(failure(i, what, sent, outcome));
    });
  };
  if (!n.on || n.frozen || !n.reaches_pgsteer) return fail(Outcome::kUnreachable, timeout);
  if (n.patroni == PatroniLife::kDead || n.rest == RestMode::kRefusing) {
    return fail(Outcome::kRefused, milliseconds(1));
  }
  if (n.patroni != PatroniLife::kRunning || n.rest == RestMode::kHung) {
    return fail(Outcome::kSilent, timeout);
  }
  if (n.rest == RestMode::kEmpty) return fail(Outcome::kEmpty, milliseconds(3));
  if (n.rest == RestMode::kGarbage) return fail(Outcome::kMalformed, milliseconds(3));
  Span takes = dice_.skewed(milliseconds(1), milliseconds(60));
  if (n.rest == RestMode::kSlow) takes = dice_.between(milliseconds(100), milliseconds(2'400));
  if (n.rest == RestMode::kQueryFails) takes = dice_.between(milliseconds(1), milliseconds(1'900));
  if (what == ProbeKind::kCluster) takes += milliseconds(5);
  if (takes >= timeout) return fail(Outcome::kSilent, timeout);
  // The reply shows the state of a moment between request and reply.
  const Span half = takes / 2;
  const unsigned epoch = n.epoch[0];
  agenda_.after(half, [this, i, what, sent, timeout, half, epoch, deliver = std::move(deliver)] {
    const ModelNode& m = nodes[i];
    const bool lost = !m.on || stands(i, Process::kPatroni) || !m.reaches_pgsteer;
    if (lost) {
      agenda_.at(sent + timeout, [this, i, what, sent, deliver] {
        deliver(failure(i, what, sent, Outcome::kSilent));
      });
      return;
    }
    if (m.epoch[0] != epoch) return deliver(failure(i, what, sent, Outcome::kEmpty));
    Evidence e = answer(i, what, sent);
    agenda_.after(half, [this, deliver, e = std::move(e)]() mutable {
      std::visit(
          [&](auto& x) {
            if constexpr (requires { x.received; }) x.received = agenda_.now();
          },
          e);
      deliver(std::move(e));
    });
  });
}

}  // namespace pgsteer
