// One fact that an observer can ask for: its name in JSON, its name as a metric, and how to read it
// from its view. facts.h has the tables; json.cc and metrics.cc walk them. Plain values; any
// thread.
#pragma once

#include <prometheus/metric_type.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "health/views.h"
#include "proxy/routing/traffic_view.h"

namespace pgsteer {

// Several numbers, told apart by the value of one label.
using Series = std::vector<std::pair<std::string, std::uint64_t>>;

// What a fact may be, and how it is written:
// - nothing: null in JSON, no series.
// - bool: 0 or 1 as a metric.
// - text: null if empty. As a metric always 1, with the text as the value of the fact's label.
// - time: RFC 3339 in JSON, seconds since 1970 as a metric. The epoch means "not known".
// - list: as a metric the number of its entries.
// - series: an object in JSON, one series per entry as a metric.
using Value = std::variant<std::monostate, bool, std::uint64_t, double, std::string, WallTime,
                           std::vector<std::string>, Series, const HistogramView*>;

// `json` is the metric's name without the prefix that repeats what the row is about:
// pgsteer_clients of a listener is "clients". A time ends in _at or _since instead of
// _timestamp_seconds.
struct FactName {
  const char* json = "";    // empty: not in JSON
  const char* metric = "";  // empty: no metric
  prometheus::MetricType type = prometheus::MetricType::Gauge;
  const char* help = "";         // one sentence; the reference for the metric
  const char* label = "";        // a label besides those that say which listener or node it is
  const char* label_value = "";  // of a number; texts and series bring their own
};

template <typename View>
struct Fact {
  FactName name;
  Value (*read)(const View&);
};

template <typename T>
Value value_or_nothing(const std::optional<T>& value) {
  return value ? Value(*value) : Value();
}

// For numbers that start at one.
template <typename T>
Value nonzero(T number) {
  return number == 0 ? Value() : Value(std::uint64_t{number});
}

}  // namespace pgsteer
