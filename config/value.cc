#include "config/value.h"

#include <array>
#include <charconv>
#include <cstdint>
#include <limits>
#include <utility>

#include "config/suggest.h"

namespace pgsteer {

namespace {

struct Unit {
  const char* name;
  std::uint64_t factor;
};

constexpr std::array<Unit, 5> kTimeUnits{
    {{"ms", 1}, {"s", 1'000}, {"min", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};

constexpr std::array<Unit, 5> kSizeUnits{
    {{"B", 1}, {"kB", 1ULL << 10}, {"MB", 1ULL << 20}, {"GB", 1ULL << 30}, {"TB", 1ULL << 40}}};

// Common misspellings of the units above.
constexpr std::array<std::pair<const char*, const char*>, 13> kTimeTypos{{{"m", "min"},
                                                                          {"mins", "min"},
                                                                          {"minute", "min"},
                                                                          {"minutes", "min"},
                                                                          {"sec", "s"},
                                                                          {"secs", "s"},
                                                                          {"second", "s"},
                                                                          {"seconds", "s"},
                                                                          {"msec", "ms"},
                                                                          {"hour", "h"},
                                                                          {"hours", "h"},
                                                                          {"day", "d"},
                                                                          {"days", "d"}}};

// Half of the signed range, so that the sum of two values cannot overflow either.
constexpr std::uint64_t kMaxNumber = std::numeric_limits<std::int64_t>::max() / 2;

struct Split {
  std::uint64_t number = 0;
  std::string_view unit;
  bool ok = false;
};

Split split(std::string_view text) {
  Split out;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out.number);
  out.ok = error == std::errc() && end != text.data();
  if (out.ok) out.unit = text.substr(static_cast<std::size_t>(end - text.data()));
  return out;
}

template <std::size_t N>
std::string unit_names(const std::array<Unit, N>& units) {
  std::string out;
  for (const Unit& unit : units) out += (out.empty() ? "" : ", ") + std::string(unit.name);
  return out;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

template <std::size_t N>
ParseResult<std::uint64_t> read_units(std::string_view text, const std::array<Unit, N>& units,
                                      const char* example) {
  using R = ParseResult<std::uint64_t>;
  const Split parts = split(text);
  if (!parts.ok) {
    return R::failure(in_quotes(text) + " is not a whole number with a unit; write for example \"" +
                      example + "\" (units: " + unit_names(units) + ")");
  }
  if (parts.unit.empty()) {
    if (parts.number == 0) return R::ok(0);
    return R::failure(in_quotes(text) + " has no unit; write for example \"" + example +
                      "\" (units: " + unit_names(units) + ")");
  }
  for (const Unit& unit : units) {
    if (parts.unit != unit.name) continue;
    if (parts.number > kMaxNumber / unit.factor)
      return R::failure(in_quotes(text) + " is too large");
    return R::ok(parts.number * unit.factor);
  }
  std::string error = in_quotes(text) + " has an unknown unit";
  if (parts.unit.starts_with('.') || parts.unit.starts_with(',')) {
    error = in_quotes(text) + " is a fraction; write a whole number with a smaller unit";
  }
  const std::string number = std::to_string(parts.number);
  for (const Unit& unit : units) {
    if (lower(parts.unit) == lower(unit.name)) {
      error += ": case matters, write \"" + number + unit.name + "\"";
    }
  }
  for (const auto& [typo, meant] : kTimeTypos) {
    if (parts.unit != typo) continue;
    for (const Unit& unit : units) {
      if (std::string_view(meant) == unit.name) error += ": write \"" + number + meant + "\"";
    }
  }
  return R::failure(error + " (units: " + unit_names(units) + ")");
}

template <std::size_t N>
std::string with_unit(std::uint64_t number, const std::array<Unit, N>& units) {
  if (number == 0) return "0";
  const Unit* best = &units.front();
  for (const Unit& unit : units) {
    if (number % unit.factor == 0) best = &unit;
  }
  return std::to_string(number / best->factor) + best->name;
}

}  // namespace

ParseResult<Duration> read_duration(std::string_view text) {
  const ParseResult<std::uint64_t> read = read_units(text, kTimeUnits, "10s");
  if (!read.value) return ParseResult<Duration>::failure(read.error);
  return ParseResult<Duration>::ok(Duration(static_cast<Duration::rep>(*read.value)));
}

ParseResult<std::uint64_t> read_size(std::string_view text) {
  return read_units(text, kSizeUnits, "16MB");
}

std::string duration_text(Duration duration) {
  return with_unit(static_cast<std::uint64_t>(duration.count()), kTimeUnits);
}

std::string size_text(std::uint64_t bytes) { return with_unit(bytes, kSizeUnits); }

std::string in_quotes(std::string_view text) {
  constexpr std::size_t kMaxShown = 80;
  std::string out = "\"";
  for (const char c : text.substr(0, kMaxShown)) {
    out.push_back(static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c);
  }
  return out + (text.size() > kMaxShown ? "...\"" : "\"");
}

}  // namespace pgsteer
