// Replays the seeds and past findings of tests/fuzz/corpus through their fuzz targets.
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#define X(name) extern "C" int replay_##name(const std::uint8_t* data, std::size_t size);
#include "fuzz_targets.inc"
#undef X

namespace {

struct Target {
  const char* name;
  int (*run)(const std::uint8_t*, std::size_t);
};

const Target kTargets[] = {
#define X(name) {#name, replay_##name},
#include "fuzz_targets.inc"
#undef X
};

std::vector<std::filesystem::path> corpus_of(const std::string& name) {
  std::vector<std::filesystem::path> files;
  const auto folder = std::filesystem::path(PGSTEER_CORPUS) / name;
  if (!std::filesystem::is_directory(folder)) return files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  return files;
}

class FuzzCorpus : public testing::TestWithParam<Target> {};

TEST_P(FuzzCorpus, EveryInputPasses) {
  const auto files = corpus_of(GetParam().name);
  ASSERT_FALSE(files.empty()) << "no corpus for " << GetParam().name;
  for (const auto& file : files) {
    SCOPED_TRACE(file.string());
    std::ifstream in(file, std::ios::binary);
    ASSERT_TRUE(in);
    const std::string input{std::istreambuf_iterator<char>(in), {}};
    // A failure aborts the test, with the message of the sanitizer or the target.
    EXPECT_EQ(GetParam().run(reinterpret_cast<const std::uint8_t*>(input.data()), input.size()), 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, FuzzCorpus, testing::ValuesIn(kTargets),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(FuzzCorpusFolders, EachBelongsToATarget) {
  std::size_t folders = 0;
  for (const auto& entry : std::filesystem::directory_iterator(PGSTEER_CORPUS)) {
    if (!entry.is_directory()) continue;
    ++folders;
    const std::string name = entry.path().filename().string();
    bool known = false;
    for (const Target& target : kTargets) known = known || name == target.name;
    EXPECT_TRUE(known) << name;
  }
  EXPECT_EQ(folders, std::size(kTargets));
}

}  // namespace
