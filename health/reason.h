// The word for each reason and admission: the same in the log, the metrics, the JSON and on the
// page. Pure; any thread.
#pragma once

#include "health/topology.h"

namespace pgsteer {

const char* to_string(Reason);
const char* to_string(Admission);
const char* to_string(TlsAnswer);

}  // namespace pgsteer
