// How a config file spells each enumerator of config.h, and back. Pure; any thread.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/config.h"

namespace pgsteer {

template <class E>
struct EnumNames;  // kAll: every enumerator with its name, in the order of the enum

template <>
struct EnumNames<Target> {
  static constexpr std::array<std::pair<Target, const char*>, 6> kAll{
      {{Target::kPrimary, "primary"},
       {Target::kReplica, "replica"},
       {Target::kAny, "any"},
       {Target::kSync, "sync"},
       {Target::kQuorum, "quorum"},
       {Target::kAsync, "async"}}};
};

template <>
struct EnumNames<Balance> {
  static constexpr std::array<std::pair<Balance, const char*>, 4> kAll{
      {{Balance::kLeastSessions, "least_sessions"},
       {Balance::kRoundRobin, "round_robin"},
       {Balance::kRandom, "random"},
       {Balance::kClientAddress, "client_address"}}};
};

template <>
struct EnumNames<WhenNoNode> {
  static constexpr std::array<std::pair<WhenNoNode, const char*>, 2> kAll{
      {{WhenNoNode::kRefuse, "refuse"}, {WhenNoNode::kClose, "close"}}};
};

template <>
struct EnumNames<ClientTls> {
  static constexpr std::array<std::pair<ClientTls, const char*>, 2> kAll{
      {{ClientTls::kPass, "pass"}, {ClientTls::kTerminate, "terminate"}}};
};

template <>
struct EnumNames<ClientCertificate> {
  static constexpr std::array<std::pair<ClientCertificate, const char*>, 3> kAll{
      {{ClientCertificate::kNone, "none"},
       {ClientCertificate::kOptional, "optional"},
       {ClientCertificate::kRequired, "required"}}};
};

template <>
struct EnumNames<NodeTls> {
  static constexpr std::array<std::pair<NodeTls, const char*>, 4> kAll{
      {{NodeTls::kOff, "off"},
       {NodeTls::kRequire, "require"},
       {NodeTls::kVerifyCa, "verify-ca"},
       {NodeTls::kVerifyFull, "verify-full"}}};
};

template <>
struct EnumNames<TlsVersion> {
  static constexpr std::array<std::pair<TlsVersion, const char*>, 2> kAll{
      {{TlsVersion::kTls12, "1.2"}, {TlsVersion::kTls13, "1.3"}}};
};

template <>
struct EnumNames<ErrorDetail> {
  static constexpr std::array<std::pair<ErrorDetail, const char*>, 2> kAll{
      {{ErrorDetail::kFull, "full"}, {ErrorDetail::kShort, "short"}}};
};

template <>
struct EnumNames<LogFormat> {
  static constexpr std::array<std::pair<LogFormat, const char*>, 2> kAll{
      {{LogFormat::kText, "text"}, {LogFormat::kJson, "json"}}};
};

template <>
struct EnumNames<LogLevel> {
  static constexpr std::array<std::pair<LogLevel, const char*>, 5> kAll{
      {{LogLevel::kTrace, "trace"},
       {LogLevel::kDebug, "debug"},
       {LogLevel::kInfo, "info"},
       {LogLevel::kWarn, "warn"},
       {LogLevel::kError, "error"}}};
};

template <class E>
std::optional<E> from_string(std::string_view text) {
  for (const auto& [value, name] : EnumNames<E>::kAll) {
    if (text == name) return value;
  }
  return std::nullopt;
}

template <class E>
std::vector<std::string> all_names() {
  std::vector<std::string> names;
  for (const auto& entry : EnumNames<E>::kAll) names.emplace_back(entry.second);
  return names;
}

}  // namespace pgsteer
