// Settings about what strangers may see: the hosts and the session table of [stats], and files that
// hold secrets.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/unit/config_text.h"

namespace pgsteer {
namespace {

class SecretFiles : public testing::Test {
 protected:
  SecretFiles() {
    std::string pattern = std::filesystem::temp_directory_path() / "pgsteer-secret-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
  }
  ~SecretFiles() override { std::filesystem::remove_all(directory_); }

  std::string write(const std::string& name, const std::string& text) {
    std::ofstream(directory_ / name) << text;
    std::filesystem::permissions(directory_ / name, std::filesystem::perms(0600));
    return directory_ / name;
  }

  std::filesystem::path directory_;
};

TEST(ConfigStats, HostsAndTheSessionTableHaveTheirOwnValues) {
  const auto stats = [](const std::string& line) {
    return texts(parse(std::string(kNode) + kListen + "[stats]\n" + line + "\n"));
  };
  EXPECT_EQ(stats("hosts = \"one.example\""), "");
  EXPECT_EQ(stats("show_sessions = \"loopback\""), "");
  EXPECT_NE(stats("show_sessions = \"always\"").find("must be \"loopback\", true or false"),
            std::string::npos);
  EXPECT_NE(stats("hosts = [\"a\", \"b:7000\"]").find("hosts[1]: \"b:7000\" is not a name"),
            std::string::npos);
  EXPECT_NE(stats("hosts = [5]").find("hosts[0]: is a whole number"), std::string::npos);
  EXPECT_NE(stats("hosts = [\"b b\"]").find("hosts[0]: "), std::string::npos);
  std::string many = "\"a\"";
  for (int i = 0; i < 64; ++i) many += ", \"a\"";
  EXPECT_NE(stats("hosts = [" + many + "]").find("65 names; at most 64"), std::string::npos);
}

TEST_F(SecretFiles, SecretsThatEverybodyMayReadAreRefused) {
  using std::filesystem::perms;
  write("crt", "pem");
  const std::string key = write("key", "pem");
  const std::string password = write("password", "word\n");
  const std::string file = write(
      "pgsteer.toml", std::string(kNode) + kListen +
                          "tls = \"terminate\"\ntls_certificate = \"crt\"\ntls_key = \"key\"\n"
                          "[node_tls]\nmode = \"require\"\ncertificate = \"crt\"\nkey = \"key\"\n"
                          "[health]\nuser = \"me\"\npassword_file = \"password\"\n");
  std::filesystem::permissions(key, perms(0640));
  EXPECT_TRUE(parse_file(file).ok()) << texts(parse_file(file));
  std::filesystem::permissions(key, perms(0644));
  std::filesystem::permissions(password, perms(0602));
  const std::string got = texts(parse_file(file));
  const std::string why = "\"" + key +
                          "\" is a secret, but everybody on this machine may read it "
                          "(mode 0644); run chmod o= on it";
  EXPECT_NE(got.find("listen[0].tls_key: " + why), std::string::npos) << got;
  EXPECT_NE(got.find("node_tls.key: " + why), std::string::npos) << got;
  EXPECT_NE(got.find("health.password_file: "), std::string::npos) << got;
  EXPECT_NE(got.find("may change it (mode 0602)"), std::string::npos) << got;
}

// Only a file that has a password in it must be secret.
TEST_F(SecretFiles, AConfigWithAPasswordThatEverybodyMayReadIsRefused) {
  using std::filesystem::perms;
  const std::string plain = write("plain.toml", std::string(kNode) + kListen);
  std::filesystem::permissions(plain, perms(0644));
  EXPECT_TRUE(parse_file(plain).ok()) << texts(parse_file(plain));
  const std::string file = write(
      "pgsteer.toml", std::string(kNode) + kListen + "[health]\nuser = \"me\"\npassword = \"x\"\n");
  EXPECT_TRUE(parse_file(file).ok()) << texts(parse_file(file));
  std::filesystem::permissions(file, perms(0644));
  const std::string got = texts(parse_file(file));
  EXPECT_NE(got.find("health.password: stands in a file that is not secret: everybody on this "
                     "machine may read it (mode 0644)"),
            std::string::npos)
      << got;
}

}  // namespace
}  // namespace pgsteer
