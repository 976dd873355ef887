// SPDX-License-Identifier: Apache-2.0
#include "core/flow_exchange.h"

namespace xlvs {

FlowImports& FlowImports::operator+=(const FlowImports& more) {
  created += more.created;
  updated += more.updated;
  kept += more.kept;
  ended += more.ended;
  conflict += more.conflict;
  no_room += more.no_room;
  no_service += more.no_service;
  no_listener += more.no_listener;
  no_backend += more.no_backend;
  failed += more.failed;
  return *this;
}

}  // namespace xlvs
