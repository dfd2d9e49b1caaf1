// What a canned state shows of a second cluster. Pure.
#pragma once

#include "tests/browser/scenarios.h"

namespace pgsteer {

// Names the first cluster of the scene "orders", with its listeners, and adds `second` as
// "billing", which has nodes of the same names and a listener billing_rw.
void add_second(Scene& scene, ClusterView& first, ClusterView second, double elapsed);

}  // namespace pgsteer
