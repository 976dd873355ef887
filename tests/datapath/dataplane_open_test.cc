// SPDX-License-Identifier: Apache-2.0
// Loading, pinning, adopting; what a crash leaves; conflicts.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <sys/wait.h>

#include <csignal>
#include <fstream>
#include <random>
#include <thread>

#include "tests/datapath/dataplane_fixture.h"

namespace xlvs::dataplane {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class Open : public DataplaneTest {};

const Desired kWeb =
    desired({service("web", {"198.51.100.10:80/tcp"}, {backend("10.0.0.11:80"), backend("10.0.0.12:80")})});

TEST_F(Open, FirstLoadPinsEverythingAndInitialisesControl) {
  open();
  for (const char* name : {"program", "control", "listeners4", "backends", "buckets4", "tables", "locks"})
    EXPECT_TRUE(std::filesystem::exists(root() + "/v1/" + name)) << name;
  const lvs_control& control = maps().control();
  EXPECT_NE(control.hash_seed[0], 0U);
  EXPECT_NE(control.hash_seed[1], 0U);
  EXPECT_EQ(control.bucket_mask4, 1024U / 4 - 1);
  EXPECT_EQ(control.bucket_mask6, 1024U / 2 - 1);
  EXPECT_EQ(control.timeout[LVS_STATE_ESTABLISHED], ticks(std::chrono::seconds(900)));
  EXPECT_EQ(ticks(std::chrono::seconds(900)), 839) << "900 s in ticks of 2^30 ns, rounded up";
}

TEST_F(Open, ARestartKeepsTheProgramTheSeedAndTheServices) {
  open();
  apply(kWeb);
  const std::uint32_t program = program_id(dp->program());
  const std::uint64_t seed = maps().control().hash_seed[0];
  const std::uint32_t kept = backend_id("web", "10.0.0.12:80");
  open();
  EXPECT_EQ(program_id(dp->program()), program);
  EXPECT_EQ(maps().control().hash_seed[0], seed);
  EXPECT_EQ(backend_id("web", "10.0.0.12:80"), kept);
  EXPECT_THAT(dp->installed(), SizeIs(2));
  const std::uint64_t writes = maps().writes();
  apply(kWeb);
  EXPECT_FALSE(summary.changed());
  EXPECT_EQ(maps().writes(), writes) << "what the previous lvsd installed is what is wanted";
}

TEST_F(Open, AnotherBuildReplacesTheProgramAndKeepsTheMaps) {
  open();
  apply(kWeb);
  const PortRequest port = make_port("dp0");
  ASSERT_TRUE(dp->attach(port));
  const std::uint32_t old_program = program_id(dp->program());
  maps().control().object_hash[0] ^= 0xff;  // as if another build had loaded it
  open();
  const std::uint32_t new_program = program_id(dp->program());
  EXPECT_NE(new_program, old_program);
  ASSERT_THAT(dp->ports(), SizeIs(1));
  EXPECT_EQ(dp->ports()[0].program_id, new_program) << "the link already runs it";
  EXPECT_THAT(dp->installed(), SizeIs(2));
  open();
  EXPECT_EQ(program_id(dp->program()), new_program) << "and now it is the pinned one";
}

TEST_F(Open, OneProcessAtATime) {
  open();
  const auto second = open_xdp_dataplane(options);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::conflict);
  const auto removed = remove_pins(options);
  ASSERT_FALSE(removed);
  EXPECT_EQ(removed.error().kind, ErrorKind::conflict);
}

TEST_F(Open, NeedsABpfFileSystem) {
  options.bpffs = "/tmp";
  const auto opened = open_xdp_dataplane(options);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::unsupported);
  EXPECT_THAT(opened.error().message, HasSubstr("mount -t bpf"));
  options.bpffs = "/sys/fs/bpf";
}

TEST_F(Open, NamesTheMissingCapability) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setresuid(65534, 65534, 65534) != 0) ::_exit(9);
    const auto opened = open_xdp_dataplane(options);
    const bool good = !opened && opened.error().kind == ErrorKind::permission &&
                      opened.error().message.find("CAP_BPF") != std::string::npos;
    ::_exit(good ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(Open, RefusesAnInstanceNameThatIsAPath) {
  const std::string good = options.instance;
  for (const char* name : {"", "..", "a/b", "a b"}) {
    options.instance = name;
    EXPECT_FALSE(open_xdp_dataplane(options)) << name;
  }
  options.instance = good;
}

TEST_F(Open, DotsInTheInstanceNameAreAllowed) {
  options.instance += ".a.b";
  open();
  dp.reset();
  ASSERT_TRUE(remove_pins(options));
}

TEST_F(Open, RemovesWhatAnInterruptedFirstLoadLeft) {
  std::filesystem::create_directories(root() + "/new-1");
  open();
  EXPECT_FALSE(std::filesystem::exists(root() + "/new-1"));
  EXPECT_TRUE(std::filesystem::exists(root() + "/v1/program"));
}

TEST_F(Open, PinsOfAnotherLayoutAreLeftAloneUntilReset) {
  std::filesystem::create_directories(root() + "/v0");
  open();
  EXPECT_TRUE(std::filesystem::exists(root() + "/v0"));
}

// ---- death at any instant --------------------------------------------------------------------------------------

// Every pointer in the maps leads to something complete, and every id that packets may pick is valid.
void expect_consistent(const XdpDataplane& dp) {
  const Maps& maps = dp.maps();
  for (const auto& [key, entry] : maps.entries<lvs_key4, lvs_listener>("listeners4")) {
    if (key.port == 0) continue;
    ASSERT_NE(maps.services[entry.service].pick, LVS_PICK_NONE);
    ASSERT_EQ(maps.vips[entry.id].family, AF_INET);
    ASSERT_EQ(maps.vips[entry.id].addr[0], key.addr);
    ASSERT_EQ(maps.vips[entry.id].port, key.port);
    ASSERT_TRUE(maps.has_table(entry.service));
    for (const std::uint32_t id : maps.table(entry.service)) {
      ASSERT_NE(maps.backends[id].flags & LVS_BACKEND_VALID, 0) << "a table names backend " << id;
      ASSERT_EQ(maps.backends[id].service, entry.service);
    }
  }
}

Desired variant(unsigned round) {
  std::vector<DesiredService> services;
  for (unsigned s = 0; s < 1 + round % 4; ++s) {
    std::vector<DesiredBackend> backends;
    for (unsigned b = 0; b < 1 + (round + s) % 5; ++b)
      backends.push_back(backend(fmt::format("10.0.{}.{}:80", s, 10 + (round + b) % 7), 1 + round % 3));
    services.push_back(service(fmt::format("s{}", s), {fmt::format("198.51.100.{}:{}/tcp", 10 + s, 80 + round % 2)},
                               std::move(backends)));
  }
  return desired(std::move(services));
}

TEST_F(Open, DeathAtAnyInstantLeavesWhatTheNextStartCanUse) {
  std::mt19937 random(20261122);
  constexpr int kRounds = 40;
  int after_load = 0;
  for (int round = 0; round < kRounds; ++round) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto opened = open_xdp_dataplane(options);
      for (unsigned i = 0; opened; ++i)
        if (!(*opened)->apply(variant(i)) || !(*opened)->sweep_step(100000)) ::_exit(1);
      ::_exit(2);
    }
    // Some die while loading, most while applying.
    std::this_thread::sleep_for(std::chrono::milliseconds(std::uniform_int_distribution(0, 400)(random)));
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << WEXITSTATUS(status);
    after_load += std::filesystem::exists(root() + "/v1");

    ASSERT_NO_FATAL_FAILURE(open());
    ASSERT_NO_FATAL_FAILURE(expect_consistent(*dp));
    ASSERT_NO_FATAL_FAILURE(apply(variant(static_cast<unsigned>(round))));
    ASSERT_NO_FATAL_FAILURE(expect_consistent(*dp));
    sweep();
    EXPECT_THAT(dp->registry().resting_backends(), IsEmpty());
    dp.reset();
    if (round % 8 == 7) {
      ASSERT_TRUE(remove_pins(options));
    }
  }
  EXPECT_GT(after_load, kRounds / 4) << "too few deaths came late enough to mean anything";
}

}  // namespace
}  // namespace xlvs::dataplane
