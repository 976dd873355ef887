// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "config/config.h"

namespace xlvs::config {

// Whose a file is, where two routers share a configuration: by the keys of its top level. What is a router's own can
// not be the same on both: see shared_hash().
struct Ownership {
  std::string router_key;  // the first that is a router's own: "interfaces"; "": none
  std::string pair_key;    // the first that both have in common: "services"; "": none
};

// A file that can not be read as a mapping has no keys. Any thread.
[[nodiscard]] Ownership ownership(const Source& source);

}  // namespace xlvs::config
