// config/pgsteer.reference.toml is correct: it parses, shows the defaults, and lists every setting
// and no other.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include "config/parse.h"
#include "config/settings.h"

namespace pgsteer {
namespace {

std::string reference_path() {
  return (std::filesystem::path(__FILE__).parent_path() / "../../config/pgsteer.reference.toml")
      .lexically_normal()
      .string();
}

std::string reference_text() {
  std::ifstream in(reference_path());
  EXPECT_TRUE(in) << reference_path();
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

struct Written {
  std::string value;
  std::string reload;
};

// "[listen] hold" for each line `hold = 9s  # reload: new clients` of the file.
std::map<std::string, Written> written_settings(const std::string& text) {
  static const std::regex section(R"(^\[+(\w+)\]+$)");
  static const std::regex setting(R"(^(\w+) = (.*?)(?: +# reload: (.*))?$)");
  std::map<std::string, Written> found;
  std::string here, line;
  std::istringstream in(text);
  std::smatch match;
  while (std::getline(in, line)) {
    if (std::regex_match(line, match, section)) here = match[1];
    if (std::regex_match(line, match, setting)) {
      const Written written{match[2], match[3]};
      EXPECT_TRUE(found.emplace("[" + here + "] " + match[1].str(), written).second) << line;
    }
  }
  return found;
}

std::string title(const Setting& setting) {
  for (const SectionInfo& info : sections()) {
    if (info.section == setting.section) return "[" + std::string(info.name) + "] " + setting.key;
  }
  return "?";
}

TEST(ConfigReference, ParsesWithoutErrorsOrWarnings) {
  const Parsed parsed = parse_file(reference_path());
  for (const Diagnostic& diagnostic : parsed.diagnostics) ADD_FAILURE() << diagnostic.text();
  EXPECT_TRUE(parsed.ok());
}

TEST(ConfigReference, TheExamplesParseWithoutErrorsOrWarnings) {
  const auto top = std::filesystem::path(__FILE__).parent_path() / "../..";
  for (const char* example : {"deploy/pgsteer.toml", "deploy/container/pgsteer.toml"}) {
    const Parsed parsed = parse_file((top / example).string());
    for (const Diagnostic& diagnostic : parsed.diagnostics) ADD_FAILURE() << diagnostic.text();
    EXPECT_EQ(parsed.config.nodes.size(), 3U) << example;
  }
}

TEST(ConfigReference, SaysOfEverySettingWhatAReloadDoesWithIt) {
  const auto written = written_settings(reference_text());
  for (const Setting& each : settings()) {
    const auto line = written.find(title(each));
    ASSERT_NE(line, written.end()) << title(each);
    EXPECT_EQ(line->second.reload, to_string(each.reload)) << title(each);
  }
}

TEST(ConfigReference, NamesEverySettingAndNoOther) {
  const auto written = written_settings(reference_text());
  ASSERT_GT(written.size(), 50U);
  std::set<std::string> declared;
  for (const Setting& each : settings()) {
    EXPECT_TRUE(declared.insert(title(each)).second) << title(each) << " is declared twice";
    EXPECT_EQ(written.count(title(each)), 1U) << title(each) << " is not in the reference";
  }
  for (const auto& [name, line] : written) EXPECT_EQ(declared.count(name), 1U) << name;
}

TEST(ConfigReference, ShowsTheDefaultsOfTheStructs) {
  const Parsed parsed = parse_file(reference_path());
  ASSERT_TRUE(parsed.ok());
  for (const Setting& each : settings()) {
    // The parser fills these in.
    if (each.required() || each.key == "rest" || each.key == "cluster") continue;
    EXPECT_EQ(each.write(parsed.config, 0), each.write(defaults(), 0)) << title(each);
  }
}

// Like the test above, but compares the text of the file: the test above would not notice a value
// that is read and then dropped.
TEST(ConfigReference, WritesEachDefaultAsThePrinterDoes) {
  const auto written = written_settings(reference_text());
  for (const Setting& each : settings()) {
    const auto found = written.find(title(each));
    if (each.required() || found == written.end()) continue;
    EXPECT_EQ(found->second.value, each.write(defaults(), 0)) << title(each);
  }
}

TEST(ConfigReference, EqualsAConfigWithOnlyTheRequiredSettings) {
  const Parsed full = parse_file(reference_path());
  const Parsed bare = parse_text(
      "[[cluster]]\nname = \"orders\"\n"
      "[[node]]\nname = \"pg-1\"\nhost = \"10.0.0.1\"\n"
      "[[listen]]\nname = \"read_write\"\nbind = [\"*:5000\"]\n",
      "bare.toml");
  ASSERT_TRUE(full.ok() && bare.ok());
  for (const Setting& each : settings()) {
    EXPECT_EQ(each.write(full.config, 0), each.write(bare.config, 0)) << title(each);
  }
  EXPECT_EQ(bare.config.nodes[0].rest, "http://10.0.0.1:8008");
}

TEST(ConfigReference, ExplainsEverySetting) {
  std::istringstream in(reference_text());
  std::string line;
  bool explained = false;
  std::size_t seen = 0;
  while (std::getline(in, line)) {
    if (line.starts_with("# ") && !line.starts_with("# --")) explained = true;
    if (line.empty() || line.starts_with('[')) explained = false;
    if (line.empty() || line.starts_with('#') || line.starts_with('[')) continue;
    EXPECT_TRUE(explained) << line;
    ++seen;
  }
  EXPECT_EQ(seen, settings().size());
}

}  // namespace
}  // namespace pgsteer
