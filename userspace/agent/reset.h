// SPDX-License-Identifier: Apache-2.0
// `lvsd --reset`: the way back to a host that never ran this instance.
#pragma once

#include "agent/host.h"
#include "agent/options.h"

namespace xlvs::agent {

// Takes away VIPs that lvsd added, detaches its programs, removes pins and the state file (overrides too). Needs no
// configuration. Conflict while an lvsd of the instance runs.
Result<void> reset_instance(const Options& options, Host& host);

}  // namespace xlvs::agent
