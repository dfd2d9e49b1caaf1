// Settings that contradict each other, and combinations that cause trouble. Each case has a config,
// the line and key of the diagnostic, and a part of its message.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "config/enum_names.h"
#include "config/parse.h"

namespace pgsteer {
namespace {

class ConfigCheck : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "pgsteer-check-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    for (const char* name : {"crt", "key", "ca"}) std::ofstream(directory_ / name) << "pem";
    std::filesystem::permissions(directory_ / "key", std::filesystem::perms(0600));
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  Parsed parse(const std::string& toml) const {
    return parse_text(toml, (directory_ / "pgsteer.toml").string());
  }

  static std::string texts(const Parsed& parsed) {
    std::string out;
    for (const Diagnostic& diagnostic : parsed.diagnostics) {
      out += std::to_string(diagnostic.line) + ": " + diagnostic.key + ": " +
             (diagnostic.warning ? "warning: " : "") + diagnostic.message + "\n";
    }
    return out;
  }

  // Expects exactly one error or warning. Its "LINE: KEY: MESSAGE" begins with `start` and contains
  // `part`.
  void expect_one(const std::string& toml, const std::string& start,
                  const std::string& part) const {
    const Parsed parsed = parse(toml);
    EXPECT_EQ(parsed.diagnostics.size(), 1U) << toml << texts(parsed);
    EXPECT_TRUE(texts(parsed).starts_with(start)) << texts(parsed) << "wanted: " << start;
    EXPECT_NE(texts(parsed).find(part), std::string::npos) << texts(parsed) << "wanted: " << part;
    EXPECT_EQ(parsed.ok(), texts(parsed).find(": warning: ") != std::string::npos);
  }

  void expect_clean(const std::string& toml) const {
    const Parsed parsed = parse(toml);
    EXPECT_TRUE(parsed.diagnostics.empty()) << toml << texts(parsed);
  }

  const std::string node_ = "[[node]]\nname = \"pg-1\"\nhost = \"10.0.0.1\"\n";  // lines 1 to 3
  const std::string write_ = "[[listen]]\nname = \"rw\"\nbind = \"127.0.0.1:5000\"\n";  // 4 to 6
  const std::string read_ =
      "[[listen]]\nname = \"ro\"\nbind = \"127.0.0.1:5001\"\nto = \"replica\"\n";
  const std::string base_ = node_ + write_;  // the next line is 7
  const std::string terminate_ =
      "tls = \"terminate\"\ntls_certificate = \"crt\"\ntls_key = \"key\"\n";
  std::filesystem::path directory_;
};

TEST_F(ConfigCheck, TwoNodesOfOneName) {
  expect_one(node_ + "[[node]]\nname = \"pg-1\"\nhost = \"10.0.0.2\"\n" + write_,
             "5: node[1].name: ", "is already used by node[0].name (line 2)");
}

TEST_F(ConfigCheck, OneNodeWrittenTwice) {
  expect_one(node_ + "[[node]]\nname = \"pg-2\"\nhost = \"10.0.0.1\"\n" + write_,
             "6: node[1].host: ", "list each node once");
}

TEST_F(ConfigCheck, TwoNodesOnOneHostNeedTheirOwnPatroni) {
  const std::string second = "[[node]]\nname = \"pg-2\"\nhost = \"10.0.0.1\"\nport = 5433\n";
  expect_one(node_ + second + write_, "4: node[1].rest: ", "set rest to its URL");
  expect_clean(node_ + second + "rest = \"http://10.0.0.1:8009\"\n" + write_);
}

TEST_F(ConfigCheck, TwoListenersOfOneName) {
  expect_one(base_ + "[[listen]]\nname = \"rw\"\nbind = \"127.0.0.1:5001\"\n",
             "8: listen[1].name: ", "is already used by listen[0].name (line 5)");
}

TEST_F(ConfigCheck, BindsThatConflict) {
  const std::string second = "[[listen]]\nname = \"ro\"\nto = \"replica\"\nbind = ";
  for (const char* bind : {"\"127.0.0.1:5000\"", "\"*:5000\"", "\":5000\"", "\"0.0.0.0:5000\"",
                           "[\"127.0.0.1:5001\", \"0.0.0.0:5000\"]"}) {
    expect_one(base_ + second + bind + "\n", "10: listen[1].bind: ",
               "cannot be bound together with \"127.0.0.1:5000\" of listen[0].bind (line 6)");
  }
  expect_clean(base_ + second + "[\"[::]:5000\", \"127.0.0.2:5000\"]\n");
}

TEST_F(ConfigCheck, BindTwiceInOneListener) {
  expect_one(node_ + "[[listen]]\nname = \"rw\"\nbind = [\"*:5000\", \"[::1]:5000\"]\n",
             "6: listen[0].bind: ", "\"[::1]:5000\" cannot be bound together with \"*:5000\"");
}

TEST_F(ConfigCheck, BindOfThePageConflicts) {
  expect_one(base_ + "[stats]\nbind = \"*:5000\"\n", "8: stats.bind: ",
             "\"*:5000\" cannot be bound together with \"127.0.0.1:5000\" of listen[0].bind");
}

TEST_F(ConfigCheck, TwoListenersOnOneUnixSocket) {
  expect_one(node_ + "[[listen]]\nname = \"a\"\nbind = \"/run/a\"\n" +
                 "[[listen]]\nname = \"b\"\nbind = \"/run/a\"\n",
             "9: listen[1].bind: ", "cannot be bound together with \"/run/a\"");
}

TEST_F(ConfigCheck, PortZeroNeverConflicts) {
  expect_clean(node_ + "[[listen]]\nname = \"a\"\nbind = [\"127.0.0.1:0\", \"127.0.0.1:0\"]\n");
}

TEST_F(ConfigCheck, TerminateWithoutCertificateOrKey) {
  const Parsed parsed = parse(base_ + "tls = \"terminate\"\n");
  EXPECT_FALSE(parsed.ok());
  ASSERT_EQ(parsed.diagnostics.size(), 2U) << texts(parsed);
  EXPECT_EQ(parsed.diagnostics[0].key, "listen[0].tls_certificate");
  EXPECT_EQ(parsed.diagnostics[1].key, "listen[0].tls_key");
  expect_one(base_ + "tls = \"terminate\"\ntls_certificate = \"crt\"\n", "4: listen[0].tls_key: ",
             "is missing; tls = \"terminate\" needs tls_certificate and tls_key");
  expect_clean(base_ + terminate_);
}

TEST_F(ConfigCheck, TermsThatHaveNoEffectWhereTlsIsTerminated) {
  expect_one(base_ + terminate_ + "tls_crl = \"ca\"\n",
             "10: listen[0].tls_crl: warning: ", "clients are not asked for a certificate");
  const std::string asks = "tls_client_ca = \"ca\"\ntls_client_certificate = \"required\"\n";
  expect_one(base_ + terminate_ + asks + "tls_required = false\n",
             "12: listen[0].tls_required: warning: ", "\"required\" needs TLS");
  expect_one(base_ + terminate_ + "refuse_in_clear = false\n",
             "10: listen[0].refuse_in_clear: warning: ", "answers requests for TLS itself");
  expect_clean(base_ + terminate_ + asks + "tls_crl = \"ca\"\n");
}

TEST_F(ConfigCheck, ClientCertificatesWithoutTheirCa) {
  for (const char* mode : {"optional", "required"}) {
    const std::string asks = "tls_client_certificate = \"" + std::string(mode) + "\"\n";
    expect_one(base_ + terminate_ + asks, "4: listen[0].tls_client_ca: ",
               "is missing; tls_client_certificate = \"" + std::string(mode) + "\" needs the CA");
    expect_clean(base_ + terminate_ + asks + "tls_client_ca = \"ca\"\n");
  }
  expect_one(base_ + terminate_ + "tls_client_ca = \"ca\"\n",
             "10: listen[0].tls_client_ca: warning: ", "clients are not asked for a certificate");
}

TEST_F(ConfigCheck, TlsSettingsWithoutTerminate) {
  for (const char* line :
       {"tls_certificate = \"crt\"", "tls_key = \"key\"", "tls_min_version = \"1.3\"",
        "tls_client_ca = \"ca\"", "tls_client_certificate = \"required\"", "tls_crl = \"ca\"",
        "tls_required = false", "tls_ciphers = \"HIGH\"", "tls_handshakes_per_client = 1"}) {
    const std::string key = std::string(line).substr(0, std::string(line).find(' '));
    expect_one(base_ + line + "\n", "7: listen[0]." + key + ": warning: has no effect",
               "write tls = \"terminate\"");
  }
  expect_clean(base_ + "tls_min_version = \"1.2\"\n");  // the default
}

TEST_F(ConfigCheck, NodeTlsBreaksChannelBindingOfTerminatedClients) {
  expect_one(base_ + terminate_ + "[node_tls]\nmode = \"require\"\n",
             "7: listen[0].tls: warning: with node_tls.mode = \"require\"",
             "channel_binding=disable");
  expect_one(base_ + terminate_ + "[node_tls]\nmode = \"verify-full\"\nca = \"ca\"\n",
             "7: listen[0].tls: warning: with node_tls.mode = \"verify-full\"", "SCRAM");
  expect_clean(base_ + terminate_ + "[node_tls]\nmode = \"off\"\n");
}

TEST_F(ConfigCheck, NodeTlsWithoutATerminatingListener) {
  expect_one(base_ + "[node_tls]\nmode = \"require\"\n", "8: node_tls.mode: warning: has no effect",
             "no listener has tls = \"terminate\"");
}

TEST_F(ConfigCheck, NodeTlsNeedsItsFilesAndUsesThem) {
  const std::string section = base_ + "[node_tls]\n";
  EXPECT_NE(texts(parse(section + "mode = \"verify-ca\"\n"))
                .find("node_tls.ca: is missing; mode = \"verify-ca\" needs the CA"),
            std::string::npos);
  EXPECT_NE(texts(parse(section + "mode = \"require\"\ncertificate = \"crt\"\n"))
                .find("node_tls.key: is missing; set both certificate and key, or neither"),
            std::string::npos);
  EXPECT_NE(texts(parse(section + "mode = \"require\"\nkey = \"key\"\n"))
                .find("node_tls.certificate: is missing"),
            std::string::npos);
  EXPECT_NE(texts(parse(section + "mode = \"require\"\nca = \"ca\"\n"))
                .find("node_tls.ca: warning: has no effect: mode = \"require\" does not verify"),
            std::string::npos);
  expect_one(section + "ca = \"ca\"\n", "8: node_tls.ca: warning: has no effect",
             "mode is \"off\"");
}

TEST_F(ConfigCheck, SettingsForReadsOnAPrimaryListener) {
  for (const char* line : {"max_lag = \"1MB\"", "balance = \"random\"", "fallback = \"primary\"",
                           "drain_timeout = \"1s\""}) {
    const std::string key = std::string(line).substr(0, std::string(line).find(' '));
    expect_one(base_ + line + "\n", "7: listen[0]." + key + ": warning: has no effect",
               "has no effect with to = \"primary\"");
  }
  expect_clean(node_ + read_ + "max_lag = \"1MB\"\nbalance = \"random\"\nfallback = \"primary\"\n");
  expect_one(node_ + "[[listen]]\nname = \"a\"\nbind = \"*:5001\"\nto = \"any\"\n" +
                 "fallback = \"primary\"\n",
             "8: listen[0].fallback: warning: ", "already includes the primary");
}

TEST_F(ConfigCheck, HoldThatOutlastsDrivers) {
  expect_clean(base_ + "hold = \"12s\"\n");
  expect_one(base_ + "hold = \"13s\"\n", "7: listen[0].hold: warning: ", "pgjdbc after 5s");
}

TEST_F(ConfigCheck, LoginTimeoutWithinTheHold) {
  expect_one(base_ + "login_timeout = \"9s\"\n",
             "7: listen[0].login_timeout: warning: ", "is not longer than hold (9s)");
  expect_clean(base_ + "login_timeout = \"10s\"\nhold = \"5s\"\n");
}

TEST_F(ConfigCheck, ClientLimitAboveTheLimit) {
  expect_one(base_ + "max_connections = 5\nmax_connections_per_client = 6\n",
             "8: listen[0].max_connections_per_client: warning: ", "above max_connections (5)");
  expect_clean(base_ + "max_connections = 5\nmax_connections_per_client = 5\n");
}

TEST_F(ConfigCheck, HuntIntervalAboveInterval) {
  expect_one(base_ + "[health]\nhunt_interval = \"2s\"\n",
             "8: health.hunt_interval: ", "hunt_interval (2s) is longer than interval (1s)");
  expect_one(base_ + "[health]\ninterval = \"50ms\"\n",
             "8: health.interval: ", "hunt_interval (100ms) is longer than interval (50ms)");
  expect_clean(base_ + "[health]\ninterval = \"50ms\"\nhunt_interval = \"50ms\"\n");
}

TEST_F(ConfigCheck, ChecksThatOutlastTheLease) {
  expect_one(base_ + "[health]\ntimeout = \"9500ms\"\n",
             "8: health.timeout: warning: ", "without a second try");
  expect_one(base_ + "[health]\ninterval = \"9s\"\n",
             "8: health.interval: warning: ", "second try");
  expect_clean(base_ + "[health]\ntimeout = \"9s\"\n");
}

TEST_F(ConfigCheck, BasicAuthenticationIsUserAndPassword) {
  expect_one(base_ + "[health]\npassword = \"hidden\"\n", "7: health.user: is missing",
             "a password needs a user");
  expect_clean(base_ + "[health]\nuser = \"me\"\npassword = \"x\"\n");
}

TEST_F(ConfigCheck, HealthTlsWithoutHttps) {
  const std::string https =
      "[[node]]\nname = \"a\"\nhost = \"a\"\nrest = \"https://a:8008\"\n" + write_;
  const std::string pair = "certificate = \"crt\"\nkey = \"key\"\n";
  expect_one(base_ + "[health]\nca = \"ca\"\n", "8: health.ca: warning: ", "begins with https://");
  expect_one(base_ + "[health]\nverify = false\n", "8: health.verify: warning: ", "https://");
  expect_clean(https + "[health]\nca = \"ca\"\n" + pair);
  expect_one(https + "[health]\nca = \"ca\"\nverify = false\n",
             "9: health.ca: warning: ", "verify is false");
  expect_one(https + "[health]\ncertificate = \"crt\"\n", "8: health.key: ", "or neither");
}

// An invalid value is not compared with other settings: one mistake, one message.
TEST_F(ConfigCheck, OneMistakeGivesOneMessage) {
  expect_one(base_ + "[health]\ninterval = \"50sec\"\nhunt_interval = \"2s\"\n",
             "8: health.interval: ", "write \"50s\"");
  expect_one(base_ + "hold = \"20x\"\nlogin_timeout = \"2s\"\n", "7: listen[0].hold: ", "unit");
  expect_one(base_ + "tls = \"terminat\"\ntls_certificate = \"crt\"\ntls_key = \"key\"\n",
             "7: listen[0].tls: ", "did you mean \"terminate\"?");
  expect_one(node_ + "[[node]]\nname = \"pg-2\"\nhost = \"10.0.0.1:5432\"\n" + write_,
             "6: node[1].host: ", "contains a port");
}

template <class E>
void expect_names() {
  std::set<std::string> seen;
  for (const auto& [value, name] : EnumNames<E>::kAll) {
    EXPECT_STREQ(to_string(value), name);
    EXPECT_EQ(from_string<E>(name), value);
    EXPECT_TRUE(seen.insert(name).second) << name;
  }
  EXPECT_FALSE(from_string<E>("") || from_string<E>("?"));
}

TEST(ConfigEnumNames, EveryEnumeratorHasOneNameBothWays) {
  expect_names<Target>();
  expect_names<Balance>();
  expect_names<WhenNoNode>();
  expect_names<ClientTls>();
  expect_names<ClientCertificate>();
  expect_names<NodeTls>();
  expect_names<TlsVersion>();
  expect_names<LogFormat>();
  expect_names<LogLevel>();
}

}  // namespace
}  // namespace pgsteer
