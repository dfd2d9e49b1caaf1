// No input may crash the parser, hang it, or be refused without a message. Runs the whole corpus of
// the fuzzer and the same seeded mutations of it each time; tests/fuzz/config_fuzz.cc goes further.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "config/parse.h"
#include "config/settings.h"

namespace pgsteer {
namespace {

std::vector<std::string> corpus() {
  const auto here = std::filesystem::path(__FILE__).parent_path();
  std::vector<std::filesystem::path> files{here / "../../config/pgsteer.reference.toml"};
  for (const auto& entry : std::filesystem::directory_iterator(here / "../fuzz/corpus/config")) {
    files.push_back(entry.path());
  }
  std::vector<std::string> texts;
  for (const auto& file : files) {
    std::ifstream in(file, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    texts.push_back(text.str());
  }
  return texts;
}

void expect_sound(const std::string& toml) {
  const Parsed parsed = parse_text(toml, "random.toml");
  unsigned line = 0;
  for (const Diagnostic& diagnostic : parsed.diagnostics) {
    EXPECT_FALSE(diagnostic.message.empty());
    EXPECT_EQ(diagnostic.text().find('\n'), std::string::npos) << diagnostic.text();
    EXPECT_LE(line, diagnostic.line) << diagnostic.text();
    line = diagnostic.line;
  }
  if (!parsed.ok()) return;
  ASSERT_FALSE(parsed.config.nodes.empty() || parsed.config.listen.empty());
  const auto known = [&](const std::string& cluster) {
    return std::ranges::find(parsed.config.clusters, cluster, &ClusterConfig::name) !=
           parsed.config.clusters.end();
  };
  for (const NodeConfig& node : parsed.config.nodes) EXPECT_TRUE(known(node.cluster)) << toml;
  for (const ListenConfig& listen : parsed.config.listen)
    EXPECT_TRUE(known(listen.cluster)) << toml;
  for (const Setting& each : settings()) EXPECT_FALSE(each.write(parsed.config, 0).empty());
}

std::string mutated(std::string text, const std::vector<std::string>& texts, std::mt19937& random) {
  const auto below = [&](std::size_t limit) {
    return limit == 0 ? 0 : std::uniform_int_distribution<std::size_t>(0, limit - 1)(random);
  };
  static const std::string kCharacters =
      "\"'[]{}=.,#\\\n 0159kMsx:/*-+_\xc3\xff" + std::string(1, '\0');
  for (std::size_t changes = 1 + below(6); changes > 0; --changes) {
    const std::size_t at = below(text.size());
    switch (below(4)) {
      case 0:
        text.insert(at, 1, kCharacters[below(kCharacters.size())]);
        break;
      case 1:
        text.erase(at, 1 + below(20));
        break;
      case 2:
        if (!text.empty()) text[at] = kCharacters[below(kCharacters.size())];
        break;
      default: {
        const std::string& other = texts[below(texts.size())];
        text.insert(at, other.substr(below(other.size()), below(60)));
      }
    }
  }
  return text;
}

TEST(ConfigRandom, TheCorpusIsSound) {
  const auto texts = corpus();
  ASSERT_GE(texts.size(), 10U);
  for (const std::string& text : texts) expect_sound(text);
}

TEST(ConfigRandom, EveryPrefixOfAConfigIsSound) {
  const std::string text =
      "[[cluster]]\nname = \"a\"\n[[node]]\nname = \"pg-1\"\ncluster = 'a'\nhost = "
      "\"::1\"\n[[listen]]\nname = 'rw'\nbind = [\"*:5000\", "
      "\"/run/x\"]\ntags = { a = 1 }\nallow = [\"10.0.0.0/8\"]\nhold = \"1s\"\n[log]\n";
  for (std::size_t size = 0; size <= text.size(); ++size) expect_sound(text.substr(0, size));
}

TEST(ConfigRandom, MutationsAreSound) {
  const auto texts = corpus();
  std::mt19937 random(20'240'611);
  for (int i = 0; i < 1'000; ++i) {
    const std::string text =
        mutated(texts[static_cast<std::size_t>(i) % texts.size()], texts, random);
    SCOPED_TRACE(i);
    expect_sound(text);
  }
}

}  // namespace
}  // namespace pgsteer
