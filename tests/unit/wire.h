// Builds PostgreSQL messages for the tests of the pure protocol code.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace pgsteer::wire {

using namespace std::string_literals;
using namespace std::string_view_literals;

inline std::span<const std::byte> bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string str(std::span<const std::byte> data) {
  return {reinterpret_cast<const char*>(data.data()), data.size()};
}

inline std::string u16(std::uint32_t value) {
  return {static_cast<char>(value >> 8 & 0xff), static_cast<char>(value & 0xff)};
}
inline std::string u32(std::uint32_t value) { return u16(value >> 16) + u16(value & 0xffff); }

// A message with a type byte.
inline std::string message(char type, std::string_view body = {}) {
  return type + u32(static_cast<std::uint32_t>(body.size() + 4)) + std::string(body);
}

// A packet without a type byte: length, code, rest.
inline std::string packet(std::uint32_t code, std::string_view rest = {}) {
  return u32(static_cast<std::uint32_t>(rest.size() + 8)) + u32(code) + std::string(rest);
}

inline std::string startup(
    std::uint32_t protocol,
    std::initializer_list<std::pair<std::string_view, std::string_view>> list) {
  std::string fields;
  for (const auto& [name, value] : list) {
    fields.append(name).push_back('\0');
    fields.append(value).push_back('\0');
  }
  return packet(protocol, fields + '\0');
}

inline std::string ready(char status = 'I') { return message('Z', std::string(1, status)); }
inline std::string query(std::string_view sql = "select 1") {
  return message('Q', std::string(sql) + '\0');
}
inline std::string complete(std::string_view tag = "SELECT 1") {
  return message('C', std::string(tag) + '\0');
}
inline std::string parameter(std::string_view name, std::string_view value) {
  return message('S', std::string(name) + '\0' + std::string(value) + '\0');
}
inline std::string report(char type, std::string_view severity, std::string_view code,
                          std::string_view text = "something") {
  std::string body;
  for (const auto& [field, value] : {std::pair{'S', severity}, std::pair{'V', severity},
                                     std::pair{'C', code}, std::pair{'M', text}}) {
    body.push_back(field);
    body.append(value).push_back('\0');
  }
  return message(type, body + '\0');
}

}  // namespace pgsteer::wire
