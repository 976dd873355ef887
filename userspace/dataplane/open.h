// SPDX-License-Identifier: Apache-2.0
// The start: first load, adoption of what is pinned, replacement of an older program.
#pragma once

#include "core/result.h"
#include "dataplane/dataplane.h"
#include "dataplane/maps.h"
#include "dataplane/pins.h"

namespace xlvs::dataplane {

struct Opened {
  Pins pins;
  Maps maps;
  Fd program;
  Fd check_program;
  Fd import_program;
};

[[nodiscard]] Result<Opened> load_or_adopt(const OpenOptions& options);

}  // namespace xlvs::dataplane
