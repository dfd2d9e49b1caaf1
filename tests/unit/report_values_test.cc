// Single values in Patroni's replies: their types and their bounds.
#include <gtest/gtest.h>

#include "health/patroni/report.h"

namespace pgsteer {
namespace {

using std::chrono::seconds;

Report leader_with(const std::string& members) {
  return parse_report(200, R"({"state":"running","role":"primary",)" + members + "}", "");
}
DcsTimes config_with(const std::string& members) {
  return parse_config_reply(200, "{" + members + "}").value_or(DcsTimes{});
}

TEST(ReportValues, TheRepliesOwnStatus) {
  EXPECT_EQ(parse_report(200, R"({"state":"running"})", "").status, 200);
  const Report replica = parse_report(503, R"({"role":"replica"})", "");
  EXPECT_EQ(replica.status, 503);
  EXPECT_EQ(replica.detail, "503");
  EXPECT_EQ(replica.role, Role::kReplica);
}

TEST(ReportValues, AFailedCheckIsNotIncomplete) {
  EXPECT_FALSE(failed_report(Outcome::kSilent, "no reply").incomplete());
}

TEST(ReportValues, PositionsHave64Bits) {
  EXPECT_EQ(leader_with(R"("xlog":{"location":0})").location, 0u);
  EXPECT_EQ(leader_with(R"("xlog":{"location":18446744073709551615})").location,
            18'446'744'073'709'551'615u);
}

TEST(ReportValues, TimelinesHave32Bits) {
  EXPECT_EQ(leader_with(R"("timeline":4294967295)").timeline, 4'294'967'295u);
  EXPECT_EQ(leader_with(R"("timeline":4294967296)").timeline, 0u);
}

TEST(ReportValues, TheLastReadOfTheStoreIsAfterTheEpoch) {
  EXPECT_EQ(leader_with(R"("dcs_last_seen":1)").dcs_last_seen, 1);
  EXPECT_FALSE(leader_with(R"("dcs_last_seen":0)").dcs_last_seen);
}

TEST(ReportValues, ServerVersions) {
  for (const auto& [number, text] : {std::pair{"0", ""},
                                     {"1", "0.0.1"},
                                     {"90624", "9.6.24"},
                                     {"100000", "10.0"},
                                     {"150004", "15.4"},
                                     {"10000000", "1000.0"},
                                     {"10000001", ""}}) {
    EXPECT_EQ(leader_with(std::string(R"("server_version":)") + number).server_version, text);
  }
}

TEST(ReportValues, SystemIdentifiersMayBeNumbers) {
  EXPECT_EQ(leader_with(R"("database_system_identifier":7365912345678901234)").system_identifier,
            "7365912345678901234");
}

// The member replication_state is missing as long as a replica does not replicate, from 3.1.0 on.
TEST(ReportValues, VersionsThatTellTheReplicationState) {
  const auto tells = [](const std::string& version) {
    return leader_with(R"("patroni":{"version":")" + version + R"("})").tells_replication_state;
  };
  for (const char* version : {"3.1.0", "3.1", "3.10.2", "3.2.1", "4.0.0", "4.0", "10.0.1"}) {
    EXPECT_TRUE(tells(version)) << version;
  }
  for (const char* version : {"3.0.4", "3.0", "2.1.7", "2.9", "", "4", "5x1", "x", "x.1", ".4.1"}) {
    EXPECT_FALSE(tells(version)) << version;
  }
  EXPECT_TRUE(leader_with(R"("replication_state":"streaming")").tells_replication_state);
}

// As Python sees them, because Patroni does.
TEST(ReportValues, TagsThatAreTrue) {
  for (const char* value : {"true", "1", "-1", "0.5", "\"x\"", "\"false\"", "[0]", R"({"a":1})"}) {
    const Report r = leader_with(std::string(R"("tags":{"noloadbalance":)") + value + "}");
    EXPECT_TRUE(r.noloadbalance) << value;
    EXPECT_FALSE(r.nofailover) << value;
    const Report other = leader_with(std::string(R"("tags":{"nofailover":)") + value + "}");
    EXPECT_TRUE(other.nofailover) << value;
    EXPECT_FALSE(other.noloadbalance) << value;
  }
  for (const char* value : {"false", "0", "0.0", "\"\"", "[]", "{}", "null"}) {
    const Report r = leader_with(std::string(R"("tags":{"noloadbalance":)") + value + "}");
    EXPECT_FALSE(r.noloadbalance) << value;
  }
}

TEST(ReportValues, TagsThatAreNoTextAreShownAsJson) {
  const Report r = leader_with(R"("tags":{"a":1,"b":[1,{"c":"\u00e9"}],"d":"text"})");
  EXPECT_EQ(r.tags.at("a"), "1");
  EXPECT_EQ(r.tags.at("b"), "[1,{\"c\":\"\xc3\xa9\"}]");
  EXPECT_EQ(r.tags.at("d"), "text");
}

// Such a state made a log line of its own: "2026-01-01 ERROR the primary is gone".
TEST(ReportValues, NoTextForgesALine) {
  const Report report = parse_report(200, R"({"state":"stopped\nERROR: gone","role":"primary",
      "replication_state":"a\tb","database_system_identifier":"7\r8",
      "tags":{"re\ngion":"e\u001b[31mu","list":["\u0085"]},
      "patroni":{"version":"4.0\n","name":"pg\u007f","scope":"main\u2028"}})",
                                     "");
  EXPECT_EQ(report.state_word, "stopped?ERROR: gone");
  EXPECT_EQ(report.state, State::kOther);
  EXPECT_EQ(report.replication_state, "a?b");
  EXPECT_EQ(report.system_identifier, "7?8");
  EXPECT_EQ(report.tags,
            (std::map<std::string, std::string>{{"re?gion", "e?[31mu"}, {"list", "[\"?\"]"}}));
  EXPECT_EQ(report.patroni_version, "4.0?");
  EXPECT_EQ(report.patroni_name, "pg?");
  EXPECT_EQ(report.scope, "main?");
}

TEST(ReportValues, TextAndTheNumberOfTagsAreBounded) {
  std::string tags;
  for (int i = 0; i < 200; ++i) tags += (i ? ",\"t" : "\"t") + std::to_string(i) + "\":1";
  const Report report = leader_with(R"("tags":{)" + tags + R"(},"patroni":{"name":")" +
                                    std::string(70'000, 'n') + R"("})");
  EXPECT_EQ(report.tags.size(), 64u);
  EXPECT_EQ(report.patroni_name, std::string(256, 'n'));
}

TEST(ReportValues, TagsThatAreNoObjectAreNone) {
  EXPECT_TRUE(leader_with(R"("tags":["nofailover"])").tags.empty());
  EXPECT_TRUE(leader_with(R"("tags":"nofailover")").tags.empty());
}

TEST(ReportValues, LevelsBelowThirtyTwoAreDropped) {
  const auto tag = [](int levels) {
    const auto count = static_cast<std::size_t>(levels);
    return leader_with(R"("tags":{"deep":)" + std::string(count, '[') + std::string(count, ']') +
                       "}")
        .tags.at("deep");
  };
  EXPECT_EQ(tag(4), "[[[[]]]]");
  EXPECT_EQ(tag(30), tag(31)) << "two levels are those of the body and the tags";
  EXPECT_EQ(tag(30), std::string(30, '[') + std::string(30, ']'));
}

TEST(ReportValues, RolesHaveTheirWords) {
  for (const auto& [role, word] : {std::pair{Role::kUnknown, "unknown"},
                                   {Role::kPrimary, "primary"},
                                   {Role::kReplica, "replica"},
                                   {Role::kStandbyLeader, "standby_leader"},
                                   {Role::kPromoted, "promoted"},
                                   {Role::kDemoted, "demoted"},
                                   {Role::kUninitialized, "uninitialized"}}) {
    EXPECT_STREQ(to_string(role), word);
  }
}

TEST(HttpDateValues, EveryMonthAndTheEdgesOfTheClock) {
  constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  constexpr std::int64_t kDays[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
  for (std::size_t i = 0; i < 12; ++i) {
    EXPECT_EQ(parse_http_date(std::string("Thu, 01 ") + kMonths[i] + " 1970 00:00:00 GMT"),
              kDays[i] * 86'400)
        << kMonths[i];
  }
  EXPECT_EQ(parse_http_date("Thu, 01 Jan 1970 23:59:60 GMT"), 86'400) << "a leap second";
  for (const char* bad : {"Thu, 00 Jan 1970 00:00:00 GMT", "Thu, 32 Jan 1970 00:00:00 GMT",
                          "Wed, 31 Dec 1969 23:59:59 GMT", "Thu, 01 Jan 1970 24:00:00 GMT",
                          "Thu, 01 Jan 1970 00:60:00 GMT", "Thu, 01 Jan 1970 00:00:61 GMT",
                          "Thu, 01 Jan 1970 -1:00:00 GMT", "Thu, 01 Jan 1970 00:-1:00 GMT",
                          "Thu, 01 Jan 1970 00:00:-1 GMT", "Thu, 01 Jan 1970 0x:00:00 GMT",
                          "Thu, 01 Jan 1970 00:0x:00 GMT", "Thu, 01 Jan 1970 00:00:0x GMT",
                          "Thu, 01 Jan 19x0 00:00:00 GMT", "Thu, 0x Jan 1970 00:00:00 GMT",
                          "Thu, 01 jan 1970 00:00:00 GMT", "Thu, 01 Jan 1970 00:00:00 UTC"}) {
    EXPECT_FALSE(parse_http_date(bad)) << bad;
  }
  EXPECT_EQ(parse_http_date("Thu, 01 Jan 1970 00:00:01 GMT, or so"), 1);
}

TEST(ConfigReplyValues, TimesHaveBounds) {
  EXPECT_EQ(config_with(R"("ttl":1)").ttl, seconds(1));
  EXPECT_EQ(config_with(R"("ttl":0)").ttl, seconds(30));
  EXPECT_EQ(config_with(R"("ttl":86400)").ttl, seconds(86'400));
  EXPECT_EQ(config_with(R"("ttl":86401)").ttl, seconds(30));
  EXPECT_EQ(config_with(R"("loop_wait":1)").loop_wait, seconds(1));
  EXPECT_EQ(config_with(R"("loop_wait":0)").loop_wait, seconds(10));
  EXPECT_EQ(config_with(R"("retry_timeout":3)").retry_timeout, seconds(3));
  EXPECT_EQ(config_with(R"("retry_timeout":0)").retry_timeout, seconds(0));
  EXPECT_EQ(config_with(R"("retry_timeout":-1)").retry_timeout, seconds(10));
}

TEST(ConfigReplyValues, TimesMayBeFloatsOrText) {
  EXPECT_EQ(config_with(R"("ttl":20.9)").ttl, seconds(20));
  EXPECT_EQ(config_with(R"("retry_timeout":0.0)").retry_timeout, seconds(0));
  EXPECT_EQ(config_with(R"("retry_timeout":0.5)").retry_timeout, seconds(0));
  EXPECT_EQ(config_with(R"("retry_timeout":-0.5)").retry_timeout, seconds(10));
  EXPECT_EQ(config_with(R"("ttl":"25")").ttl, seconds(25));
  EXPECT_EQ(config_with(R"("ttl":"25 s")").ttl, seconds(30));
  EXPECT_EQ(config_with(R"("ttl":"")").ttl, seconds(30));
  EXPECT_EQ(config_with(R"("ttl":true)").ttl, seconds(30));
}

TEST(ClusterReplyValues, NoTextForgesALineAndMembersAreBounded) {
  std::string members =
      R"({"name":"pg\n1","role":"leader","host":"h\u001b","api_url":"http:\u0000"})";
  for (int i = 0; i < 2'000; ++i) members += R"(,{"name":"x"})";
  const auto report = parse_cluster_reply(200, R"({"members":[)" + members + "]}");
  ASSERT_TRUE(report);
  ASSERT_TRUE(report->leader);
  EXPECT_EQ(report->leader->name, "pg?1");
  EXPECT_EQ(report->leader->host, "h?");
  EXPECT_EQ(report->leader->api_url, "http:?");
  EXPECT_EQ(report->members.size(), 1'000u);
}

TEST(ClusterReplyValues, OfAMember) {
  const auto reply = parse_cluster_reply(200, R"({"pause":true,"members":[
      {"name":"a","role":"leader","api_url":"http://10.0.0.1:8008/patroni","host":"10.0.0.1",
       "port":65535,"timeline":7},
      {"name":"b","role":"replica","port":70000}]})");
  ASSERT_TRUE(reply);
  EXPECT_TRUE(reply->pause);
  ASSERT_EQ(reply->members.size(), 2u);
  const ClusterMember& a = reply->members[0];
  EXPECT_EQ(a.name, "a");
  EXPECT_EQ(a.role, "leader");
  EXPECT_EQ(a.api_url, "http://10.0.0.1:8008/patroni");
  EXPECT_EQ(a.host, "10.0.0.1");
  EXPECT_EQ(a.port, 65'535);
  EXPECT_EQ(a.timeline, 7u);
  EXPECT_TRUE(a.leader);
  ASSERT_TRUE(reply->leader);
  EXPECT_EQ(reply->leader->name, "a");
  EXPECT_EQ(reply->leader->timeline, 7u);
  EXPECT_EQ(reply->members[1].port, 0);
  EXPECT_EQ(reply->members[1].timeline, 0u);
  EXPECT_FALSE(reply->members[1].leader);
}

}  // namespace
}  // namespace pgsteer
