// SPDX-License-Identifier: Apache-2.0
// The two messages of grpc.health.v1.Health/Check, in gRPC's framing: so small that they need no library. Private to
// health/.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/result.h"

namespace xlvs::health {

[[nodiscard]] std::string make_grpc_health_request(std::string_view service);

// HealthCheckResponse.status: 0 UNKNOWN, 1 SERVING, 2 NOT_SERVING, 3 SERVICE_UNKNOWN, or a later one. Fields that are
// not known are passed over; the error says what is no message.
[[nodiscard]] Result<std::uint64_t> read_grpc_health_reply(std::string_view body);

}  // namespace xlvs::health
