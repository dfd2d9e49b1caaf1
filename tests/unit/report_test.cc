// The parsers of Patroni's replies: bodies of every version, and what else a peer may send.
#include "health/patroni/report.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

namespace pgsteer {
namespace {

constexpr const char* kDate = "Mon, 04 May 2026 08:13:53 GMT";

std::string fixture(const std::string& name) {
  const auto path = std::filesystem::path(PGSTEER_FIXTURES) / "patroni" / name;
  std::ifstream in(path);
  EXPECT_TRUE(in) << path;
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

Report read(int status, const std::string& name) {
  return parse_report(status, fixture(name), kDate);
}

TEST(Report, LeaderOf302) {
  const Report r = read(200, "3.0.2-leader.json");
  EXPECT_TRUE(r.leads());
  EXPECT_EQ(r.role, Role::kPrimary);  // "master"
  EXPECT_EQ(r.state, State::kRunning);
  EXPECT_EQ(r.timeline, 3u);
  EXPECT_EQ(r.location, 83886408u);
  EXPECT_EQ(r.server_version, "15.4");
  EXPECT_EQ(r.patroni_version, "3.0.2");
  EXPECT_EQ(r.patroni_name, "");
  EXPECT_EQ(r.scope, "main");
  EXPECT_EQ(r.system_identifier, "7365912345678901234");
  EXPECT_EQ(r.dcs_last_seen, 1777882430);
  EXPECT_EQ(r.date, 1777882433);
  EXPECT_FALSE(r.tells_replication_state);
}

TEST(Report, ReplicaOf302) {
  const Report r = read(503, "3.0.2-replica.json");
  EXPECT_TRUE(r.answered());
  EXPECT_FALSE(r.lease);
  EXPECT_FALSE(r.writable());
  EXPECT_TRUE(r.in_recovery());
  EXPECT_EQ(r.replayed, 83886400u);
  EXPECT_EQ(r.received, 83886408u);
  EXPECT_EQ(r.tags.at("clonefrom"), "true");
  EXPECT_EQ(r.tags.at("zone"), "a");
  EXPECT_FALSE(r.noloadbalance);
}

TEST(Report, TheSameBodyWithAnotherStatusIsAnotherLease) {
  EXPECT_FALSE(read(503, "3.0.2-leader.json").leads());
  EXPECT_TRUE(read(503, "3.0.2-leader.json").writable());
}

TEST(Report, CrashedLeaderHasTheLeaseAndIsNotWritable) {
  const Report r = read(200, "3.0.2-crashed-leader.json");
  EXPECT_TRUE(r.lease);
  EXPECT_FALSE(r.writable());
  EXPECT_FALSE(r.incomplete());
  EXPECT_EQ(r.state, State::kCrashed);
}

TEST(Report, FailedQueryIsIncomplete) {
  const Report r = read(200, "3.0.2-query-failed.json");
  EXPECT_TRUE(r.incomplete());
  EXPECT_TRUE(r.cluster_unlocked);
}

TEST(Report, LeaderAndReplicaOf33) {
  const Report leader = read(200, "3.3-leader.json");
  EXPECT_TRUE(leader.leads());
  EXPECT_EQ(leader.patroni_name, "pg-1");
  const Report replica = read(503, "3.3-replica.json");
  EXPECT_TRUE(replica.tells_replication_state);
  EXPECT_EQ(replica.replication_state, "streaming");
  EXPECT_TRUE(replica.sync);
  EXPECT_TRUE(replica.noloadbalance);
}

TEST(Report, LeaderOf40InFailsafeMode) {
  const Report r = read(200, "4.0-leader.json");
  EXPECT_TRUE(r.leads());  // "primary"
  EXPECT_TRUE(r.failsafe);
  EXPECT_TRUE(r.cluster_unlocked);
}

TEST(Report, PromotingHasTheLeaseInRecovery) {
  const Report r = read(200, "4.0-promoting.json");
  EXPECT_TRUE(r.lease);
  EXPECT_TRUE(r.in_recovery());
  EXPECT_FALSE(r.leads());
  EXPECT_FALSE(r.sync);
  EXPECT_TRUE(r.quorum) << "Patroni's /sync answers 503 to a quorum standby";
}

TEST(Report, StandbyLeaderOf40) {
  const Report r = read(200, "4.0-standby-leader.json");
  EXPECT_EQ(r.role, Role::kStandbyLeader);
  EXPECT_FALSE(r.leads());
}

TEST(Report, PausedClusterOf41) {
  const Report leader = read(200, "4.1-leader.json");
  EXPECT_TRUE(leader.leads());
  EXPECT_TRUE(leader.pause);
  EXPECT_EQ(leader.tags.at("failover_priority"), "2");
  const Report replica = read(503, "4.1-replica.json");
  EXPECT_EQ(replica.timeline, 0u) << "null";
  EXPECT_EQ(replica.replication_state, "in archive recovery");
}

TEST(Report, EveryStateOfPatroniIsKnown) {
  for (auto [text, state] : {std::pair{"running", State::kRunning},
                             {"unknown", State::kUnknown},
                             {"starting", State::kStarting},
                             {"stopping", State::kStopping},
                             {"restarting", State::kRestarting},
                             {"stopped", State::kStopped},
                             {"crashed", State::kCrashed},
                             {"start failed", State::kStopped},
                             {"stop failed", State::kStopped},
                             {"restart failed", State::kStopped},
                             {"restart failed (timed out)", State::kStopped},
                             {"initializing new cluster", State::kBootstrap},
                             {"initdb failed", State::kBootstrap},
                             {"running custom bootstrap script", State::kBootstrap},
                             {"custom bootstrap failed", State::kBootstrap},
                             {"creating replica", State::kBootstrap},
                             {"starting after custom bootstrap", State::kStarting},
                             {"something new", State::kOther}}) {
    const Report r =
        parse_report(503, std::string(R"({"role":"replica","state":")") + text + "\"}", "");
    EXPECT_EQ(r.state, state) << text;
    EXPECT_EQ(r.state_word, text);
  }
}

TEST(Report, InMemoryRolesAreKnown) {
  for (auto [text, role] : {std::pair{"promoted", Role::kPromoted},
                            {"demoted", Role::kDemoted},
                            {"uninitialized", Role::kUninitialized},
                            {"other", Role::kUnknown}}) {
    const Report r =
        parse_report(503, std::string(R"({"state":"stopped","role":")") + text + "\"}", "");
    EXPECT_EQ(r.role, role) << text;
  }
}

TEST(Report, WhatIsNotPatroniIsMalformed) {
  for (const char* body :
       {"", "<html>ok</html>", "[]", "null", "3", "\"x\"", "{}", "{\"status\":\"ok\"}",
        "{\"state\":\"running\"", "\xff\xfe", "{\"state\":}"}) {
    EXPECT_EQ(parse_report(200, body, "").outcome, Outcome::kMalformed) << body;
  }
  for (int status : {0, 100, 204, 301, 400, 401, 404, 500, 501, 502}) {
    EXPECT_EQ(parse_report(status, fixture("3.0.2-leader.json"), "").outcome, Outcome::kMalformed);
  }
}

TEST(Report, FieldsOfTheWrongTypeAreMissingFields) {
  const Report r = parse_report(200, R"({"state":7,"role":null,"xlog":"x","timeline":"3","tags":[],
      "patroni":4,"pause":"yes","dcs_last_seen":"soon","database_system_identifier":true,
      "server_version":-1,"sync_standby":1})",
                                "garbage");
  EXPECT_TRUE(r.answered());
  EXPECT_FALSE(r.leads());
  EXPECT_TRUE(r.incomplete());
  EXPECT_EQ(r.timeline, 0u);
  EXPECT_FALSE(r.pause);
  EXPECT_FALSE(r.sync);
  EXPECT_FALSE(r.dcs_last_seen);
  EXPECT_FALSE(r.date);
}

TEST(Report, NumbersOutOfRangeAreMissing) {
  const Report r = parse_report(200, R"({"state":"running","role":"primary","timeline":99999999999,
      "xlog":{"location":-5},"dcs_last_seen":-1,"server_version":99999999999})",
                                "");
  EXPECT_EQ(r.timeline, 0u);
  EXPECT_FALSE(r.location);
  EXPECT_FALSE(r.dcs_last_seen);
  EXPECT_EQ(r.server_version, "");
}

TEST(Report, NullPositionsAreNoPositions) {
  const Report r = parse_report(503, R"({"state":"running","role":"replica",
      "xlog":{"replayed_location":null,"received_location":null}})",
                                "");
  EXPECT_FALSE(r.in_recovery());
  EXPECT_TRUE(r.incomplete());
}

TEST(Report, DeepNestingIsSurvived) {
  std::string deep(60'000, '[');
  EXPECT_EQ(parse_report(200, deep, "").outcome, Outcome::kMalformed);
  const std::string nested =
      "{\"state\":" + std::string(20'000, '[') + std::string(20'000, ']') + "}";
  EXPECT_TRUE(parse_report(200, nested, "").answered());
}

TEST(Report, EveryPrefixAndManyMutationsAreSurvived) {
  const std::string body = fixture("3.3-replica.json");
  for (std::size_t n = 0; n < body.size() - 2; ++n) {
    EXPECT_EQ(parse_report(200, body.substr(0, n), kDate).outcome, Outcome::kMalformed) << n;
  }
  std::mt19937 random(7);
  for (int i = 0; i < 5'000; ++i) {
    std::string mutant = body;
    for (int k = 0; k < 4; ++k) mutant[random() % mutant.size()] = static_cast<char>(random());
    const Report r = parse_report(200, mutant, kDate);
    EXPECT_FALSE(r.leads());
    parse_config_reply(200, mutant);
    parse_cluster_reply(200, mutant);
  }
}

TEST(HttpDate, IsReadAndRefused) {
  EXPECT_EQ(parse_http_date("Thu, 01 Jan 1970 00:00:00 GMT"), 0);
  EXPECT_EQ(parse_http_date("Tue, 15 Nov 1994 08:12:31 GMT"), 784887151);
  EXPECT_EQ(parse_http_date("Thu, 29 Feb 2024 23:59:59 GMT"), 1709251199);
  for (const char* bad : {"", "now", "Tue, 15 Nov 1994", "Tue, 31 Feb 2024 00:00:00 GMT",
                          "Tue, 15 Foo 1994 08:12:31 GMT", "Tue, 15 Nov 1994 25:12:31 GMT",
                          "Tue, 15 Nov 1994 08:12:31 CET", "Tue, xx Nov 1994 08:12:31 GMT"}) {
    EXPECT_FALSE(parse_http_date(bad)) << bad;
  }
}

TEST(ConfigReply, GivesTheTimes) {
  const auto times = parse_config_reply(200, fixture("3.0.2-config.json"));
  ASSERT_TRUE(times);
  EXPECT_EQ(times->ttl, std::chrono::seconds(20));
  EXPECT_EQ(times->loop_wait, std::chrono::seconds(2));
  EXPECT_EQ(times->retry_timeout, std::chrono::seconds(10));
}

TEST(ConfigReply, UnsetMeansPatronisDefault) {
  const auto times =
      parse_config_reply(200, R"({"failsafe_mode":true,"standby_cluster":{"host":"x"}})");
  ASSERT_TRUE(times);
  EXPECT_EQ(times->ttl, std::chrono::seconds(30));
  EXPECT_EQ(times->loop_wait, std::chrono::seconds(10));
  EXPECT_EQ(parse_config_reply(200, R"({"ttl":"45","loop_wait":-1})")->ttl,
            std::chrono::seconds(45));
  EXPECT_EQ(parse_config_reply(200, R"({"ttl":1e30})")->ttl, std::chrono::seconds(30));
}

TEST(ConfigReply, AnythingElseIsRefused) {
  EXPECT_FALSE(parse_config_reply(502, "{}"));
  EXPECT_FALSE(parse_config_reply(200, ""));
  EXPECT_FALSE(parse_config_reply(200, "[1]"));
}

TEST(ClusterReply, NamesTheLeader) {
  const auto old = parse_cluster_reply(200, fixture("3.0.2-cluster.json"));
  ASSERT_TRUE(old && old->leader);
  EXPECT_EQ(old->leader->name, "pg-1");
  EXPECT_EQ(old->leader->host, "10.131.0.37");
  EXPECT_EQ(old->leader->port, 5432);
  EXPECT_FALSE(old->pause);
  const auto recent = parse_cluster_reply(200, fixture("4.1-cluster.json"));
  ASSERT_TRUE(recent && recent->leader);
  EXPECT_EQ(recent->leader->api_url, "https://[fd00::1]:8008/patroni");
  EXPECT_EQ(recent->members.size(), 2u);
  EXPECT_TRUE(recent->pause);
}

TEST(ClusterReply, WithoutALeaderKeyThereIsNone) {
  const auto report =
      parse_cluster_reply(200, R"({"members":[{"name":"a","role":"replica"},7,null]})");
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->leader);
  EXPECT_FALSE(parse_cluster_reply(200, "{}"));
  EXPECT_FALSE(parse_cluster_reply(503, R"({"members":[]})"));
}

}  // namespace
}  // namespace pgsteer
