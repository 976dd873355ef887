// SPDX-License-Identifier: Apache-2.0
// Whom a browser on this network believes to be talking to: a name that is not this host's may be anybody's, whose page
// then reads our answers (DNS rebinding). Internal to control/.
#pragma once

#include <string>

namespace xlvs::control {

// An address, localhost, or a name of this host: its own, alone or with a domain that /etc/resolv.conf searches. With
// or without a port; no header at all is fine, since browsers always send one.
[[nodiscard]] bool is_own_name(const std::string& host);
[[nodiscard]] std::string foreign_host_message();

}  // namespace xlvs::control
