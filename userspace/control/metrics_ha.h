// SPDX-License-Identifier: Apache-2.0
// The metrics of a router among several.
#pragma once

#include <vector>

#include <prometheus/metric_family.h>

#include "control/api.h"

namespace xlvs::control {

// Nothing for the only router.
void add_ha(std::vector<prometheus::MetricFamily>& out, const Status& status);

}  // namespace xlvs::control
