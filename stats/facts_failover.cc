// Facts about failovers and events.
#include "stats/facts.h"

namespace pgsteer {
namespace {

using prometheus::MetricType;
constexpr auto kGauge = MetricType::Gauge;
constexpr auto kCounter = MetricType::Counter;

using F = const FailoverView&;
constexpr Fact<FailoverView> kFailover[] = {
    {{"id"}, [](F f) -> Value { return f.id; }},
    {{"began_at", "pgsteer_last_failover_timestamp_seconds", kGauge,
      "When the last failover or interruption began, in seconds since 1970."},
     [](F f) -> Value { return f.began_at; }},
    {{"kind"}, [](F f) -> Value { return to_string(f.kind); }},
    {{"from"}, [](F f) -> Value { return f.from; }},
    {{"to"}, [](F f) -> Value { return f.to; }},
    {{"finished", "pgsteer_last_failover_finished", kGauge,
      "0 while the last failover is still in progress."},
     [](F f) -> Value { return f.finished; }},
    {{"no_primary_seconds", "pgsteer_last_failover_no_primary_seconds", kGauge,
      "How long there was no primary during the last failover: from the first session that its "
      "server ended, or from when no node was admitted."},
     [](F f) -> Value { return f.no_primary_seconds; }},
    {{"sessions_ended_by_server", "pgsteer_last_failover_sessions_ended_by_server", kGauge,
      "Sessions of listeners for the primary that their server ended during the last failover."},
     [](F f) -> Value { return f.sessions_ended_by_server; }},
    {{"sessions_cut", "pgsteer_last_failover_sessions_cut", kGauge,
      "Sessions that pgsteer ended during the last failover."},
     [](F f) -> Value { return f.sessions_cut; }},
    {{"sessions_cut_told"}, [](F f) -> Value { return f.sessions_cut_told; }},
    {{"clients_held", "pgsteer_last_failover_clients_held", kGauge,
      "Clients that waited for a node during the last failover."},
     [](F f) -> Value { return f.clients_held; }},
    {{"held_longest_seconds", "pgsteer_last_failover_held_longest_seconds", kGauge,
      "The longest time that a client waited during the last failover."},
     [](F f) -> Value { return f.held_longest_seconds; }},
};

using T = const FailoverStep&;
constexpr Fact<FailoverStep> kStep[] = {
    {{"at_seconds"}, [](T t) -> Value { return t.at_seconds; }},
    {{"what"}, [](T t) -> Value { return to_string(t.what); }},
    {{"text"}, [](T t) -> Value { return t.text; }},
};

constexpr const char* kFailoversHelp =
    "Finished times without a primary: kind failover if another node became the primary, "
    "interruption if the same one came back.";

using K = const FailoverCounts&;
constexpr Fact<FailoverCounts> kCounts[] = {
    {{"failovers_total", "pgsteer_failovers_total", kCounter, kFailoversHelp, "kind", "failover"},
     [](K k) -> Value { return k.failovers; }},
    {{"interruptions_total", "pgsteer_failovers_total", kCounter, kFailoversHelp, "kind",
      "interruption"},
     [](K k) -> Value { return k.interruptions; }},
    {{"no_primary_seconds_total", "pgsteer_no_primary_seconds_total", kCounter,
      "Time without a primary, summed over everything that pgsteer_failovers_total counts."},
     [](K k) -> Value { return k.no_primary_seconds; }},
};

using E = const EventView&;
constexpr Fact<EventView> kEvent[] = {
    {{"at"}, [](E e) -> Value { return e.at; }},
    {{"severity"}, [](E e) -> Value { return to_string(e.severity); }},
    {{"text"}, [](E e) -> Value { return e.text; }},
    {{"cluster"}, [](E e) -> Value { return e.cluster; }},
};

}  // namespace

std::span<const Fact<FailoverView>> failover_facts() { return kFailover; }
std::span<const Fact<FailoverStep>> failover_step_facts() { return kStep; }
std::span<const Fact<FailoverCounts>> failover_counts_facts() { return kCounts; }
std::span<const Fact<EventView>> event_facts() { return kEvent; }

}  // namespace pgsteer
