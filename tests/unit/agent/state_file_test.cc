// SPDX-License-Identifier: Apache-2.0
#include "agent/state_file.h"

#include <gmock/gmock.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "tests/unit/agent/temporary.h"

namespace xlvs::agent {
namespace {

using health::LifeState;
using ::testing::HasSubstr;

BackendRef ref(const std::string& service, const std::string& endpoint) {
  return {service, *Endpoint::parse(endpoint)};
}

State example() {
  State state;
  state.boot_id = "boot-1";
  state.overrides[ref("web", "10.0.0.11:8080")] = {true, std::nullopt};
  state.overrides[ref("dns", "[2001:db8::11]:53")] = {false, 0};
  state.health[ref("web", "10.0.0.11:8080")] = {
      LifeState::up, std::chrono::system_clock::time_point(std::chrono::milliseconds(1234567))};
  state.health[ref("web", "10.0.0.12:8080")] = {LifeState::down, {}};
  state.vip_interface = "lo";
  state.vips = {*IpAddress::parse("198.51.100.10"), *IpAddress::parse("2001:db8::10")};
  state.names[{"web.test", Family::ipv6}] = {{*IpAddress::parse("2001:db8::1")}, {*IpAddress::parse("2001:db8::9")}};
  state.released = true;
  state.vip_table = 100;
  state.vip_routes = {*IpAddress::parse("198.51.100.10")};
  return state;
}

class StateFileTest : public ::testing::Test {
 protected:
  TemporaryDirectory directory_;
  StateFile file_{directory_ / "default/state.json"};
};

TEST_F(StateFileTest, KeepsEverything) {
  ASSERT_TRUE(file_.save(example()));
  const auto loaded = file_.load("boot-1");
  ASSERT_TRUE(loaded);
  EXPECT_TRUE(loaded->found);
  EXPECT_EQ(loaded->warning, "");
  EXPECT_EQ(loaded->state, example());
  EXPECT_EQ(loaded->state.overrides, example().overrides);
  EXPECT_EQ(loaded->state.vips, example().vips);
  EXPECT_EQ(loaded->state.vip_routes, example().vip_routes);
  EXPECT_TRUE(loaded->state.released);
  EXPECT_EQ(loaded->state.names, example().names);
  EXPECT_EQ(loaded->state.health.at(ref("web", "10.0.0.11:8080")).since,
            example().health.at(ref("web", "10.0.0.11:8080")).since);
}

TEST_F(StateFileTest, AMissingFileIsAnEmptyState) {
  const auto loaded = file_.load("boot-1");
  ASSERT_TRUE(loaded);
  EXPECT_FALSE(loaded->found);
  EXPECT_EQ(loaded->warning, "");
  EXPECT_TRUE(loaded->state.overrides.empty());
}

TEST_F(StateFileTest, AfterABootOnlyOverridesHold) {
  ASSERT_TRUE(file_.save(example()));
  const auto loaded = file_.load("boot-2");
  ASSERT_TRUE(loaded);
  EXPECT_TRUE(loaded->found);
  EXPECT_EQ(loaded->state.overrides, example().overrides);
  EXPECT_TRUE(loaded->state.health.empty());
  EXPECT_TRUE(loaded->state.vips.empty());
  EXPECT_TRUE(loaded->state.vip_routes.empty());
  EXPECT_TRUE(loaded->state.released) << "so does the operator's word";
}

TEST_F(StateFileTest, EveryTruncationIsSetAsideAndNeverHalfBelieved) {
  ASSERT_TRUE(file_.save(example()));
  const std::string whole = read_file(file_.path());
  for (std::size_t size = 0; size + 2 < whole.size(); ++size) {
    write_file(file_.path(), whole.substr(0, size));
    const auto loaded = file_.load("boot-1");
    ASSERT_TRUE(loaded);
    ASSERT_FALSE(loaded->found) << "truncated to " << size;
    ASSERT_TRUE(loaded->state.overrides.empty());
    ASSERT_TRUE(loaded->state.health.empty());
    ASSERT_THAT(loaded->warning, HasSubstr(file_.path() + ".corrupt"));
    ASSERT_EQ(read_file(file_.path() + ".corrupt"), whole.substr(0, size));
    ASSERT_FALSE(std::filesystem::exists(file_.path()));
  }
}

TEST_F(StateFileTest, ValuesThatMakeNoSenseAreCorruption) {
  ASSERT_TRUE(file_.save(example()));
  const std::string good = read_file(file_.path());
  const std::pair<std::string, std::string> edits[] = {
      {"\"format\": 1", "\"format\": 2"},   {"10.0.0.11:8080", "10.0.0.11"},
      {"\"up\"", "\"sideways\""},           {"\"drained\": true", "\"drained\": \"yes\""},
      {"198.51.100.10", "198.51.100.1000"}, {"\"health\"", "\"wealth\""}};
  for (const auto& [from, to] : edits) {
    std::string bad = good;
    ASSERT_NE(bad.find(from), std::string::npos) << from;
    bad.replace(bad.find(from), from.size(), to);
    write_file(file_.path(), bad);
    const auto loaded = file_.load("boot-1");
    ASSERT_TRUE(loaded);
    EXPECT_FALSE(loaded->found) << to;
    EXPECT_NE(loaded->warning, "") << to;
  }
}

TEST_F(StateFileTest, AFailedSaveLeavesThePreviousFile) {
  ASSERT_TRUE(file_.save(example()));
  const std::string before = read_file(file_.path());
  std::filesystem::create_directory(file_.path() + ".tmp");  // in the way of the temporary file, for root too
  State other = example();
  other.overrides.clear();
  const auto saved = file_.save(other);
  ASSERT_FALSE(saved);
  EXPECT_THAT(saved.error().message, HasSubstr(file_.path()));
  EXPECT_EQ(read_file(file_.path()), before);
}

TEST_F(StateFileTest, AReaderSeesTheOldOrTheNewFileNeverAMixture) {
  State small = example();
  State large = example();
  small.overrides.clear();
  for (std::uint16_t port = 1; port < 500; ++port) {
    large.overrides[ref("web", fmt::format("10.0.0.99:{}", port))] = {true, port};
  }
  ASSERT_TRUE(file_.save(small));
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    for (int i = 0; i < 40; ++i) ASSERT_TRUE(file_.save(i % 2 == 0 ? large : small));
    stop = true;
  });
  unsigned reads = 0;
  while (!stop) {
    const auto loaded = file_.load("boot-1");
    ASSERT_TRUE(loaded);
    ASSERT_TRUE(loaded->found) << loaded->warning;
    const std::size_t size = loaded->state.overrides.size();
    ASSERT_TRUE(size == small.overrides.size() || size == large.overrides.size()) << size;
    reads++;
  }
  writer.join();
  EXPECT_GT(reads, 0U);
}

TEST_F(StateFileTest, RemoveLeavesNothing) {
  ASSERT_TRUE(file_.save(example()));
  file_.remove();
  EXPECT_FALSE(std::filesystem::exists(directory_ / "default"));
}

}  // namespace
}  // namespace xlvs::agent
