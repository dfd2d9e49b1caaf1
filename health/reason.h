// The word for each reason and admission: the same in the log, the metrics, the JSON and on the
// page. Pure tables; any thread.
#pragma once

#include <span>

#include "health/topology.h"

namespace pgsteer {

struct ReasonWord {
  Reason reason;
  const char* word;
};

// Every enumerator of Reason, in order.
std::span<const ReasonWord> reason_table();

const char* to_string(Reason);
const char* to_string(Admission);
const char* to_string(TlsAnswer);

}  // namespace pgsteer
