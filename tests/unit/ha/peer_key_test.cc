// SPDX-License-Identifier: Apache-2.0
#include "ha/peer_key.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace xlvs::ha {
namespace {

using testing::HasSubstr;

class PeerKeyTest : public ::testing::Test {
 protected:
  PeerKeyTest() {
    std::string pattern = testing::TempDir() + "peer-key-XXXXXX";
    folder = mkdtemp(pattern.data());
  }
  ~PeerKeyTest() override {
    unsetenv("CREDENTIALS_DIRECTORY");
    std::filesystem::remove_all(folder);
  }

  std::string make(const std::string& name, const std::string& bytes, mode_t mode = 0600) {
    const std::string path = folder + "/" + name;
    std::ofstream(path, std::ios::binary) << bytes;
    chmod(path.c_str(), mode);
    return path;
  }
  static std::string error(const std::string& name) {
    const auto key = PeerKey::load(name);
    return key ? "no error" : key.error().message;
  }

  std::string folder;
  const std::string content = std::string("binary\0\n", 8) + std::string(32, 'k');
};

TEST_F(PeerKeyTest, EveryByteOfTheFileIsTheKey) {
  for (const mode_t mode : {0600, 0400}) {
    const auto key = PeerKey::load(make("key" + std::to_string(mode), content, mode));
    ASSERT_TRUE(key) << key.error().message;
    EXPECT_EQ(std::string(key->bytes().begin(), key->bytes().end()), content);
  }
}

TEST_F(PeerKeyTest, WhoElseMayReadItMakesItNoSecret) {
  for (const mode_t mode : {0640, 0604, 0660, 0610, 0666}) {
    const std::string path = make("key", content, mode);
    EXPECT_THAT(error(path), HasSubstr(path)) << mode;
    EXPECT_THAT(error(path), HasSubstr("mode 0")) << mode;
  }
}

TEST_F(PeerKeyTest, TooShortTooLongMissingOrNoFile) {
  EXPECT_THAT(error(make("short", std::string(31, 'k'))), HasSubstr("has 31 bytes"));
  EXPECT_THAT(error(make("empty", "")), HasSubstr("has 0 bytes"));
  EXPECT_EQ(error(make("least", std::string(32, 'k'))), "no error");
  EXPECT_THAT(error(make("long", std::string(4097, 'k'))), HasSubstr("has 4097 bytes"));
  EXPECT_EQ(PeerKey::load(folder + "/none").error().kind, ErrorKind::not_found);
  EXPECT_THAT(error(folder + "/none"), HasSubstr(folder + "/none"));
  EXPECT_THAT(error(folder), HasSubstr("not a regular file"));
  const std::string fifo = folder + "/fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_THAT(error(fifo), HasSubstr("not a regular file"));
}

TEST_F(PeerKeyTest, RelativeNamesAreCredentials) {
  make("peer", content);
  EXPECT_THAT(error("credential:peer"), HasSubstr("LoadCredential="));
  EXPECT_THAT(error("peer"), HasSubstr("CREDENTIALS_DIRECTORY"));
  setenv("CREDENTIALS_DIRECTORY", folder.c_str(), 1);
  EXPECT_EQ(error("credential:peer"), "no error");
  EXPECT_EQ(error("peer"), "no error");
  EXPECT_THAT(error("other"), HasSubstr(folder + "/other"));
  for (const char* name : {"", ".", "..", "credential:", "credential:..", "credential:a/b", "../peer", "a/b"})
    EXPECT_THAT(error(name), HasSubstr("neither")) << name;
}

}  // namespace
}  // namespace xlvs::ha
