#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "config/settings.h"
#include "tests/unit/config_text.h"

namespace pgsteer {
namespace {

// Expects exactly one diagnostic, with `expected` in its text.
void expect_one(const std::string& toml, const std::string& expected) {
  const Parsed parsed = parse(toml);
  EXPECT_FALSE(parsed.ok()) << toml;
  EXPECT_EQ(parsed.diagnostics.size(), 1U) << toml << texts(parsed);
  EXPECT_NE(texts(parsed).find(expected), std::string::npos)
      << texts(parsed) << "wanted: " << expected;
}

void expect_clean(const std::string& toml) {
  const Parsed parsed = parse(toml);
  EXPECT_TRUE(parsed.ok() && parsed.diagnostics.empty()) << toml << texts(parsed);
}

TEST(ConfigParse, ReadsTheUsualCluster) {
  const Parsed parsed = parse(R"(
[[node]]
name = "pg-1"
host = "10.131.0.37"
[[node]]
name = "pg-2"
host = "fd00::2"
port = 5433
rest = "https://pg-2.example:8009/"
weight = 3
[[listen]]
name = "read_write"
bind = "*:5000"
to = "primary"
[[listen]]
name = "read_only"
bind = ["127.0.0.1:5001", "[::1]:5001", "/run/pgsteer/ro"]
to = "replica"
max_lag = "16MB"
tags = { region = "eu", spare = false, tier = 2 }
fallback = "primary"
allow = ["10.0.0.0/8", "::1"]
[stats]
bind = "127.0.0.1:7000"
[server]
workers = 2
)");
  ASSERT_TRUE(parsed.ok()) << texts(parsed);
  EXPECT_TRUE(parsed.diagnostics.empty()) << texts(parsed);
  const Config& config = parsed.config;
  ASSERT_EQ(config.nodes.size(), 2U);
  EXPECT_EQ(config.nodes[0].rest, "http://10.131.0.37:8008");
  EXPECT_EQ(config.nodes[1].rest, "https://pg-2.example:8009");
  EXPECT_EQ(config.nodes[1].port, 5433);
  EXPECT_EQ(config.nodes[1].weight, 3U);
  ASSERT_EQ(config.listen.size(), 2U);
  EXPECT_EQ(config.listen[0].bind.at(0).host, "*");
  EXPECT_FALSE(config.listen[0].max_lag);
  const ListenConfig& reads = config.listen[1];
  EXPECT_EQ(reads.to, Target::kReplica);
  EXPECT_EQ(reads.max_lag, 16U * 1024 * 1024);
  EXPECT_TRUE(reads.fallback_to_primary);
  ASSERT_EQ(reads.bind.size(), 3U);
  EXPECT_EQ(reads.bind[2].unix_path, "/run/pgsteer/ro");
  EXPECT_EQ(reads.tags, (std::map<std::string, std::string>{
                            {"region", "eu"}, {"spare", "false"}, {"tier", "2"}}));
  EXPECT_EQ(reads.allow.size(), 2U);
  EXPECT_EQ(config.stats.bind.size(), 1U);
  EXPECT_EQ(config.server.workers, 2U);
}

// For each setting that needs no file, a value other than the default: it must end up in this
// setting and in no other.
TEST(ConfigParse, EverySettingIsRead) {
  const std::vector<std::tuple<std::string, std::string, std::string>> cases{
      {"node", "port", "1"},
      {"node", "rest", "\"http://x:1\""},
      {"node", "weight", "256"},
      {"node", "max_connections", "7"},
      {"listen", "to", "\"any\""},
      {"listen", "tags", "{ \"a\" = \"b\" }"},
      {"listen", "max_lag", "\"1kB\""},
      {"listen", "balance", "\"client_address\""},
      {"listen", "fallback", "\"primary\""},
      {"listen", "hold", "\"0\""},
      {"listen", "hold_sessions", "7"},
      {"listen", "when_no_node", "\"close\""},
      {"listen", "drain_timeout", "\"2min\""},
      {"listen", "logins_in_flight", "7"},
      {"listen", "max_connections", "7"},
      {"listen", "max_connections_per_client", "7"},
      {"listen", "new_connections_per_client", "7"},
      {"listen", "allow", "[\"10.0.0.0/8\"]"},
      {"listen", "deny", "[\"10.0.0.1\"]"},
      {"listen", "first_packet_timeout", "\"7s\""},
      {"listen", "login_timeout", "\"17s\""},
      {"listen", "connect_timeout", "\"7s\""},
      {"listen", "error_detail", "\"short\""},
      {"listen", "tls_min_version", "\"1.3\""},
      {"listen", "proxy_protocol_from", "[\"::1\"]"},
      {"listen", "client_in_application_name", "true"},
      {"health", "interval", "\"7s\""},
      {"health", "hunt_interval", "\"70ms\""},
      {"health", "timeout", "\"700ms\""},
      {"health", "clock_margin", "\"7s\""},
      {"health", "verify", "false"},
      {"health", "user", "\"me\""},
      {"stats", "bind", "[\"127.0.0.1:7000\"]"},
      {"stats", "threads", "7"},
      {"stats", "show_sessions", "true"},
      {"stats", "show_sessions", "false"},
      {"stats", "hosts", "[\"pgsteer.example.com\", \"*\"]"},
      {"server", "workers", "7"},
      {"server", "shutdown_timeout", "\"7s\""},
      {"server", "shutdown_timeout_unreadable", "\"7s\""},
      {"server", "shutdown_silence_unreadable", "\"7s\""},
      {"server", "keepalive_idle", "\"7s\""},
      {"server", "keepalive_interval", "\"7s\""},
      {"server", "keepalive_probes", "7"},
      {"server", "user_timeout", "\"7s\""},
      {"log", "level", "\"trace\""},
      {"log", "format", "\"json\""},
      {"log", "sessions", "false"},
  };
  for (const auto& [section, key, value] : cases) {
    const std::string line = key + " = " + value + "\n";
    std::string toml = kNode + (section == "node" ? line : "") + "[[listen]]\nname = \"rw\"\n" +
                       "bind = \"*:5000\"\n" + (section == "listen" ? line : "");
    if (section != "node" && section != "listen") toml += "[" + section + "]\n" + line;
    const Parsed parsed = parse(toml);
    ASSERT_TRUE(parsed.ok()) << toml << texts(parsed);
    std::size_t differ = 0;
    for (const Setting& each : settings()) {
      if (each.required() || (each.key == "rest" && key != "rest")) continue;
      const std::string now = each.write(parsed.config, 0);
      if (now == each.write(defaults(), 0)) continue;
      ++differ;
      EXPECT_EQ(each.key, key);
      EXPECT_EQ(now, value);
    }
    EXPECT_EQ(differ, 1U) << section << "." << key;
  }
}

TEST(ConfigParse, ReportsAllErrorsAtOnceInOrderOfLine) {
  const Parsed parsed = parse(
      "[[listen]]\n"            // 1: no bind
      "name = \"rw\"\n"         // 2
      "to = \"primry\"\n"       // 3
      "hold = 10\n"             // 4
      "[helth]\n"               // 5
      "[[node]]\n"              // 6: no name
      "host = \"pg 1\"\n"       // 7
      "prot = 5432\n"           // 8
      "[log]\n"                 // 9
      "sessions = \"yes\"\n");  // 10
  std::vector<std::pair<unsigned, std::string>> got;
  for (const Diagnostic& diagnostic : parsed.diagnostics)
    got.emplace_back(diagnostic.line, diagnostic.key);
  const std::vector<std::pair<unsigned, std::string>> wanted{
      {1, "listen[0].bind"}, {3, "listen[0].to"}, {4, "listen[0].hold"}, {5, "helth"},
      {6, "node[0].name"},   {7, "node[0].host"}, {8, "node[0].prot"},   {10, "log.sessions"},
  };
  EXPECT_EQ(got, wanted) << texts(parsed);
}

TEST(ConfigParse, DiagnosticTextHasFileLineKeyAndMessage) {
  const Parsed parsed = parse(std::string(kNode) + kListen + "[log]\nlevel = \"loud\"\n");
  EXPECT_EQ(texts(parsed),
            "pgsteer.toml:9: log.level: \"loud\" is unknown; allowed: trace, debug, info, warn, "
            "error\n");
  EXPECT_EQ((Diagnostic{"f", 0, "node", "is missing", false}).text(), "f: node: is missing");
  EXPECT_EQ((Diagnostic{"f", 3, "", "not valid", false}).text(), "f:3: not valid");
  EXPECT_EQ((Diagnostic{"f", 3, "a", "b", true}).text(), "f:3: a: warning: b");
}

TEST(ConfigParse, UnknownKeysComeWithASuggestion) {
  const std::string base = std::string(kNode) + kListen;
  expect_one(base + "max-lag = \"1MB\"\n", "is unknown (did you mean \"max_lag\"?)");
  expect_one(base + "conect_timeout = \"1s\"\n", "is unknown (did you mean \"connect_timeout\"?)");
  expect_one(base + "workers = 1\n", "is unknown here (it belongs under [server])");
  expect_one(base + "zebra = 1\n", "[[listen]] has name, cluster, bind, to");
  expect_one(base + "[servr]\n", "is unknown (did you mean \"server\"?)");
  expect_one("[[listener]]\n" + base, "is unknown (did you mean \"listen\"?)");
  expect_one("workers = 1\n" + base, "is unknown here (it belongs under [server])");
  expect_one("zebra = 1\n" + base, "known sections: [[cluster]], [[node]], [[listen]], [node_tls]");
}

TEST(ConfigParse, MissingParts) {
  EXPECT_EQ(texts(parse("")),
            "pgsteer.toml: node: is missing; at least one [[node]] is needed\n"
            "pgsteer.toml: listen: is missing; at least one [[listen]] is needed\n");
  expect_one(kNode, "listen: is missing");
  expect_one(kListen, "node: is missing");
  expect_one("node = []\n" + std::string(kListen), "is empty; at least one is needed");
  expect_one("[[node]]\nname = \"a\"\n" + std::string(kListen), "node[0].host: is missing");
  expect_one("[[node]]\nhost = \"a\"\n" + std::string(kListen), "node[0].name: is missing");
  expect_one(std::string(kNode) + "[[listen]]\nbind = \"*:5000\"\n", "listen[0].name: is missing");
  expect_one(std::string(kNode) + "[[listen]]\nname = \"rw\"\n",
             "listen[0].bind: is missing; every [[listen]] needs one: bind = \"*:5000\"");
  expect_one(std::string(kNode) + "[[listen]]\nname = \"rw\"\nbind = []\n", "is empty");
}

TEST(ConfigParse, BracketsOfTheWrongKind) {
  expect_one("[node]\nname = \"a\"\nhost = \"a\"\n" + std::string(kListen), "[[node]]");
  expect_one(std::string(kNode) + kListen + "[[log]]\n", "one pair of brackets: [log]");
  expect_one("listen = 5\n" + std::string(kNode), "[[listen]]");
  expect_one("log = true\n" + std::string(kNode) + kListen, "[log]");
  expect_one("node = [1]\n" + std::string(kListen), "is a whole number; it must be a table");
}

TEST(ConfigParse, WrongTypesAreNamed) {
  const std::string base = std::string(kNode) + kListen;
  const std::vector<std::pair<std::string, std::string>> cases{
      {"hold = true", "is true; it must be a duration such as \"10s\""},
      {"hold = 1.5", "is a fraction; it must be a duration"},
      {"hold = [\"1s\"]", "is an array; it must be a duration"},
      {"hold = 10", "a bare number has no unit; write \"10s\" or \"10ms\""},
      {"hold = 1979-05-27", "is a date or time"},
      {"max_lag = 16", "a bare number has no unit; write \"16B\", \"16kB\" or \"16MB\""},
      {"max_lag = {}", "is a table; it must be a size"},
      {"balance = 1", "is a whole number; it must be one of least_sessions, round_robin"},
      {"fallback = true", "is true; it must be one of none, primary (in quotes)"},
      {"max_connections = \"5\"", "is a string; it must be a whole number, 0 to 1000000 (without"},
      {"max_connections = 5.0", "is a fraction; it must be a whole number"},
      {"allow = 5", "is a whole number; it must be a network"},
      {"allow = [5]", "listen[0].allow[0]: is a whole number"},
      {"allow = [[\"::1\"]]", "listen[0].allow[0]: is an array"},
      {"tags = \"a\"", "is a string; it must be a table such as { region = \"eu\" }"},
      {"tags = { a = [] }", "listen[0].tags.a: is an array"},
      {"tls = false", "is false; it must be one of pass, terminate"},
      {"tls_min_version = 1.3", "is a fraction; it must be one of 1.2, 1.3 (in quotes)"},
      {"tls_certificate = 1", "is a whole number; it must be a path"},
      {"client_in_application_name = \"true\"", "is a string; it must be true or false"},
      {"client_in_application_name = 1", "is a whole number; it must be true or false"},
      {"[health]\nuser = 5", "is a whole number; it must be a string"},
      {"[health]\npassword = 5\nuser = \"a\"", "is a whole number; it must be a string"},
  };
  for (const auto& [line, wrong] : cases) expect_one(base + line + "\n", wrong);
}

TEST(ConfigParse, ValuesOutOfRangeSayTheRange) {
  const std::string base = std::string(kNode) + kListen;
  const std::vector<std::pair<std::string, std::string>> cases{
      {"hold = \"61min\"", "out of range; allowed: 0 to 1h"},
      {"connect_timeout = \"0\"", "out of range; allowed: 10ms to 5min"},
      {"logins_in_flight = 0", "0 is out of range; allowed: 1 to 10000"},
      {"max_connections = -1", "-1 is out of range"},
      {"max_connections = 9223372036854775807", "out of range"},
      {"balance = \"leastconn\"", "allowed: least_sessions, round_robin, random, client_address"},
      {"balance = \"least-sessions\"", "did you mean \"least_sessions\"?"},
      {"[server]\nkeepalive_idle = \"1500ms\"", "not a whole number of seconds"},
      {"[server]\nworkers = 257", "allowed: 0 to 256"},
      {"[server]\nkeepalive_probes = 128", "allowed: 1 to 127"},
      {"[stats]\nthreads = 0", "allowed: 1 to 64"},
      {"[stats]\nbind = \"/run/pgsteer/http\"", "only TCP is supported here"},
      {"[health]\nuser = \"a\\u0007\"", "control characters"},
  };
  for (const auto& [line, wrong] : cases) expect_one(base + line + "\n", wrong);
  expect_one("[[node]]\nname = \"a\"\nhost = \"a\"\nport = 0\n" + std::string(kListen),
             "allowed: 1 to 65535");
  expect_one("[[node]]\nname = \"a\"\nhost = \"a\"\nweight = 257\n" + std::string(kListen),
             "allowed: 1 to 256");
}

TEST(ConfigParse, ZeroNeedsNoUnitAndNoQuotes) {
  expect_clean(std::string(kNode) + kListen + "hold = 0\n");
  expect_clean(std::string(kNode) + kListen + "hold = \"0\"\n");
}

TEST(ConfigParse, NamesAreFitForLogsAndLabels) {
  for (const std::string& name :
       std::vector<std::string>{"", "a b", "a\\\"b", "ä", "a/b", std::string(64, 'x')}) {
    expect_one("[[node]]\nname = \"" + name + "\"\nhost = \"a\"\n" + kListen,
               "is not a valid name");
  }
  expect_clean("[[node]]\nname = \"Pg_1.eu-west\"\nhost = \"a\"\n" + std::string(kListen));
}

TEST(ConfigParse, ArraysAndEntriesAreBounded) {
  std::string nodes, tags;
  std::string networks = "allow = [";
  for (int i = 0; i < 65; ++i) {
    const std::string n = std::to_string(i);
    nodes += "[[node]]\nname = \"n" + n + "\"\nhost = \"h" + n + "\"\n";
    networks += "\"10.0.0." + n + "\", ";
    tags += (i > 0 ? ", t" : "t") + n + " = 1";
  }
  expect_one(nodes + kListen, "node[64]: is one too many; at most 64 are allowed");
  expect_one(std::string(kNode) + kListen + networks + "]\n", "has 65 items; at most 64");
  expect_one(std::string(kNode) + kListen + "tags = { " + tags + " }\n", "has 65 tags; at most 64");
  expect_clean(nodes.substr(0, nodes.rfind("[[node]]")) + kListen);
}

TEST(ConfigParse, NotTomlGivesTheLineAndAHint) {
  const std::string base = std::string(kNode) + kListen;
  expect_one(base + "hold = 10s\n", "pgsteer.toml:8: not valid TOML");
  expect_one(base + "hold = 10s # ten\n", "in quotes: \"10s\"");
  expect_one(base + "balance = random\n", "in quotes: \"random\"");
  expect_one(base + "hold = \"10s\n", "pgsteer.toml:8: not valid TOML");
  expect_one(base + "hold\n", "pgsteer.toml:8: not valid TOML");
  expect_one(base + "[log\n", "pgsteer.toml:8: not valid TOML");
  expect_one(base + "hold = \"1s\"\nhold = \"2s\"\n", "pgsteer.toml:9: not valid TOML");
  expect_one(std::string("\xff\xfe\0x", 4), "not valid TOML");
  expect_one("a = " + std::string(5'000, '['), "not valid TOML");
}

// These trigger an assertion in toml++ 3.3.0.
TEST(ConfigParse, HeaderWithoutANameIsNotToml) {
  for (const char* header : {"[=]", "[[=]]", "[ .a]", "[,", "[[ *"}) {
    expect_one("\n" + std::string(kNode) + kListen + header + "\n",
               "pgsteer.toml:9: not valid TOML");
  }
}

// toml++ 3.3.0 treats some of these as white space; others cause undefined behaviour.
TEST(ConfigParse, NonAsciiCharactersOnlyInStringsAndComments) {
  const std::string base = std::string(kNode) + kListen;
  for (const char* stray : {"\u00a0", "\ufecf[log]", "\u200b = 1", "h\u00f6ld = \"1s\"", "[\ufb26]",
                            "hold = \"1s\" \u00e4", "hold = 0\"\u00e4\"", "tags = [9{b=\"\u00e4"}) {
    expect_one(base + stray + "\n", "pgsteer.toml:8: not valid TOML: ");
  }
  expect_one(base + "h\u00f6ld = 1\n", "non-ASCII characters are allowed in strings");
  expect_clean("\xef\xbb\xbf# \u26a0\ufe0f \"\n" + base + "tags = { a = \"\u00e4\" }\n");
}

TEST(ConfigParse, NonAsciiCharactersAreKept) {
  const Parsed parsed = parse(std::string(kNode) + kListen +
                              "tags = { a = \"\\\"\ufecf~\", b = '\ufe0f\\', \"\u00e4\" = "
                              "\"\"\"\u00e4\n\"\u20ac\"\"\"\"\", "
                              "c = \"\\u005e\U0001f600\\u00e4\" }\n");
  ASSERT_TRUE(parsed.ok()) << texts(parsed);
  EXPECT_EQ(parsed.config.listen[0].tags,
            (std::map<std::string, std::string>{{"a", "\"\ufecf~"},
                                                {"b", "\ufe0f\\"},
                                                {"\u00e4", "\u00e4\n\"\u20ac\"\""},
                                                {"c", "^\U0001f600\u00e4"}}));
}

TEST(ConfigParse, WhatIsNotUtf8IsNotToml) {
  for (const char* bytes : {"\xff", "\xc3", "\xc3(", "\x80", "\xc0\x80", "\xe0\x80\x80",
                            "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf0\x80\x80\x80", "\xe2\x82"}) {
    expect_one("\n# " + std::string(bytes), "pgsteer.toml:2: not valid TOML: not UTF-8");
  }
  expect_one("# \u00e4 ~^`|@!$%&*;?<>()/", "has non-ASCII characters and all of");
}

TEST(ConfigParse, MessagesStayOnOneLineWhateverTheFileHolds) {
  const Parsed parsed = parse("\"a\\nb\\u001b\" = 1\n[log]\n\"\\n\\n\" = 1\nlevel = \"x\\ny\"\n");
  EXPECT_GE(parsed.diagnostics.size(), 3U);
  for (const Diagnostic& diagnostic : parsed.diagnostics) {
    EXPECT_EQ(diagnostic.text().find('\n'), std::string::npos) << diagnostic.text();
    EXPECT_EQ(diagnostic.text().find('\x1b'), std::string::npos) << diagnostic.text();
  }
}

class ConfigFiles : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "pgsteer-config-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string write(const std::string& name, const std::string& text) {
    std::ofstream(directory_ / name) << text;
    std::filesystem::permissions(directory_ / name, std::filesystem::perms(0600));
    return (directory_ / name).string();
  }

  std::filesystem::path directory_;
};

TEST_F(ConfigFiles, RelativePathsStartAtTheConfig) {
  write("server.crt", "pem");
  write("server.key", "pem");
  const std::string file =
      write("pgsteer.toml", std::string(kNode) + kListen +
                                "tls = \"terminate\"\ntls_certificate = \"server.crt\"\n"
                                "tls_key = \"./sub/../server.key\"\n");
  std::filesystem::create_directory(directory_ / "sub");
  const Parsed parsed = parse_file(file);
  ASSERT_TRUE(parsed.ok()) << texts(parsed);
  EXPECT_EQ(parsed.config.listen[0].tls_certificate, (directory_ / "server.crt").string());
  EXPECT_EQ(parsed.config.listen[0].tls_key, (directory_ / "server.key").string());
}

TEST_F(ConfigFiles, FilesThatCannotBeReadAreNamedWithTheReason) {
  write("empty", "");
  const std::string file =
      write("pgsteer.toml", std::string(kNode) + kListen +
                                "tls = \"terminate\"\ntls_certificate = \"none.crt\"\n"
                                "tls_key = \"empty\"\ntls_client_ca = \".\"\n"
                                "tls_client_certificate = \"optional\"\n");
  const std::string got = texts(parse_file(file));
  EXPECT_NE(got.find(":9: listen[0].tls_certificate: cannot read \"" +
                     (directory_ / "none.crt").string() + "\": No such file or directory"),
            std::string::npos)
      << got;
  EXPECT_NE(got.find(":10: listen[0].tls_key: cannot read"), std::string::npos) << got;
  EXPECT_NE(got.find("the file is empty"), std::string::npos) << got;
  EXPECT_NE(got.find("not a regular file"), std::string::npos) << got;
  EXPECT_EQ(got.find("is missing"), std::string::npos) << got;
}

TEST_F(ConfigFiles, PasswordComesFromTheFirstLineOfItsFile) {
  write("password", "s3cret word\r\nsecond line\n");
  write("blank", "\n");
  const std::string base = std::string(kNode) + kListen + "[health]\nuser = \"me\"\n";
  const Parsed parsed = parse_file(write("a.toml", base + "password_file = \"password\"\n"));
  ASSERT_TRUE(parsed.ok()) << texts(parsed);
  EXPECT_EQ(parsed.config.health.password.value, "s3cret word");
  std::ostringstream printed;
  printed << parsed.config.health.password;
  EXPECT_EQ(printed.str(), "***");

  const std::string both = texts(
      parse_file(write("b.toml", base + "password = \"hidden\"\npassword_file = \"password\"\n")));
  EXPECT_NE(both.find("keep one of the two"), std::string::npos) << both;
  EXPECT_EQ(both.find("hidden"), std::string::npos) << both;
  const std::string unquoted = texts(parse_file(write("d.toml", base + "password = hidden\n")));
  EXPECT_NE(unquoted.find("in quotes"), std::string::npos) << unquoted;
  EXPECT_EQ(unquoted.find("hidden"), std::string::npos) << unquoted;
  EXPECT_NE(texts(parse_file(write("c.toml", base + "password_file = \"blank\"\n")))
                .find("the first line of the file must be the password"),
            std::string::npos);
}

TEST_F(ConfigFiles, AFileThatCannotBeReadIsOneError) {
  for (const std::string& path :
       {(directory_ / "absent.toml").string(), directory_.string(), std::string("/dev/zero"),
        write("large.toml", std::string(2'000'000, '#'))}) {
    const Parsed parsed = parse_file(path);
    EXPECT_FALSE(parsed.ok());
    ASSERT_EQ(parsed.diagnostics.size(), 1U) << path;
    EXPECT_EQ(parsed.diagnostics[0].file, path);
    EXPECT_EQ(parsed.diagnostics[0].line, 0U);
  }
}

}  // namespace
}  // namespace pgsteer
