// SPDX-License-Identifier: Apache-2.0
// Check type "http".
#include "health/http_prober.h"
#include "health/probers.h"

namespace xlvs::health {

std::unique_ptr<Prober> make_http(boost::asio::io_context& loop, const ProbeTarget& target) {
  return make_http_prober(loop, target, std::nullopt);
}

}  // namespace xlvs::health
