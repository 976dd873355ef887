// SPDX-License-Identifier: Apache-2.0
#include "agent/host.h"

#include <fstream>
#include <memory>
#include <utility>

#include <spdlog/spdlog.h>

#include "net/ack_solicitor.h"

namespace xlvs::agent {
namespace {

class LinuxHost final : public Host {
 public:
  Result<std::unique_ptr<dataplane::Dataplane>> open_dataplane(const dataplane::OpenOptions& options) override {
    return dataplane::open_xdp_dataplane(options);
  }
  Result<void> remove_pins(const dataplane::OpenOptions& options) override { return dataplane::remove_pins(options); }
  Result<std::vector<net::Link>> links() override { return net::list_links(); }
  Result<std::unique_ptr<ha::Speaker>> open_speaker(const HaConfig& config, FenceWord fence,
                                                    ha::Speaker::RoleChanged changed) override {
    return ha::Speaker::open(config, fence, std::move(changed));
  }
  Result<std::unique_ptr<net::Watch>> open_watch(boost::asio::io_context& loop, net::Watch::Events events) override {
    return net::Watch::open(loop, std::move(events));
  }
  Result<void> set_vips(const std::string& interface, const std::set<IpAddress>& wanted, std::set<IpAddress>& owned,
                        net::VipFacts& facts) override {
    net::VipAddresses addresses(interface);
    Result<void> result = addresses.set(wanted, owned);
    owned = addresses.owned();
    facts = addresses.facts();
    return result;
  }
  Result<void> set_vip_routes(std::uint32_t table, const std::set<IpAddress>& wanted, std::set<IpAddress>& owned,
                              net::VipFacts& facts) override {
    net::VipRoutes routes(table);
    Result<void> result = routes.set(wanted, owned);
    owned = routes.owned();
    facts = routes.facts();
    return result;
  }
  std::unique_ptr<net::Resolver> make_resolver(boost::asio::io_context& loop) override {
    return net::make_resolver(loop);
  }
  void solicit(const Endpoint& server, const Endpoint& client) override {
    if (!solicitor_) {
      if (solicitor_failed_) return;
      auto opened = net::AckSolicitor::open();
      if (!opened) {
        solicitor_failed_ = true;
        spdlog::warn("clients that wait in silence for a failed backend can not be asked: {}", opened.error().message);
        return;
      }
      solicitor_ = std::move(*opened);
    }
    solicitor_->ask(server, client);
  }
  Result<std::string> boot_id() override {
    static constexpr const char* kPath = "/proc/sys/kernel/random/boot_id";
    std::ifstream file(kPath);
    std::string id;
    if (!std::getline(file, id)) return fail(ErrorKind::unsupported, "cannot read {}; is /proc mounted?", kPath);
    return id;
  }

 private:
  std::unique_ptr<net::AckSolicitor> solicitor_;  // from the first use on
  bool solicitor_failed_ = false;
};

}  // namespace

std::unique_ptr<Host> make_host() {
  return std::make_unique<LinuxHost>();
}

}  // namespace xlvs::agent
