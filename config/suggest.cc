#include "config/suggest.h"

#include <algorithm>
#include <cctype>

namespace pgsteer {

namespace {

// No name is longer than this. Bounds the work on hostile keys.
constexpr std::size_t kMaxLength = 64;

// Wrong case, and - instead of _, are the most common typos: they count as no difference.
std::string folded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    out.push_back(c == '-' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c))));
  }
  return out;
}

std::string unique_completion(std::string_view wrong, const std::vector<std::string>& known) {
  std::string found;
  if (wrong.size() < 3) return found;
  for (const std::string& name : known) {
    if (!name.starts_with(wrong)) continue;
    if (!found.empty()) return {};
    found = name;
  }
  return found;
}

}  // namespace

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) cost[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, replaced});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
    }
  }
  return cost[a.size()][b.size()];
}

std::string nearest(std::string_view wrong, const std::vector<std::string>& known) {
  if (wrong.empty() || wrong.size() > kMaxLength) return {};
  const std::string typed = folded(wrong);
  std::string best;
  std::size_t best_distance = 0;
  for (const std::string& name : known) {
    const std::size_t distance = edit_distance(typed, name);
    const std::size_t permitted = std::max<std::size_t>(1, name.size() / 3);
    if (distance <= permitted && distance < name.size() &&
        (best.empty() || distance < best_distance)) {
      best = name;
      best_distance = distance;
    }
  }
  return best.empty() ? unique_completion(typed, known) : best;
}

std::string join(const std::vector<std::string>& items) {
  std::string out;
  for (const std::string& item : items) out += (out.empty() ? "" : ", ") + item;
  return out;
}

std::string did_you_mean(std::string_view wrong, const std::vector<std::string>& known) {
  const std::string meant = nearest(wrong, known);
  return meant.empty() ? std::string() : " (did you mean \"" + meant + "\"?)";
}

}  // namespace pgsteer
