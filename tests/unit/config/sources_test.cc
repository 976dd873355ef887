// SPDX-License-Identifier: Apache-2.0
#include <fstream>

#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/config/support.h"

namespace xlvs::config {
namespace {

namespace fs = std::filesystem;

class ReadSources : public testing::Test {
 protected:
  ReadSources() {
    std::string pattern = (fs::temp_directory_path() / "lvs-sources-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
  }
  ~ReadSources() override { fs::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& text) {
    const fs::path path = folder_ / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
    return path.string();
  }

  fs::path folder_;
};

TEST_F(ReadSources, OneFile) {
  const std::string path = write("lvs.yaml", "interfaces: [wan0]\n");
  const auto sources = read_sources(path);
  ASSERT_TRUE(sources) << sources.error().message;
  ASSERT_EQ(sources->size(), 1U);
  EXPECT_EQ((*sources)[0].name, path);
  EXPECT_EQ((*sources)[0].text, "interfaces: [wan0]\n");
}

TEST_F(ReadSources, FragmentsInByteOrder) {
  const std::string path = write("lvs.yaml", "main");
  write("conf.d/b.yaml", "2");
  write("conf.d/a.yaml", "1");
  write("conf.d/B.yaml", "0");
  write("conf.d/.hidden.yaml", "no");
  write("conf.d/a.yaml.bak", "no");
  write("conf.d/readme.txt", "no");
  const auto sources = read_sources(path);
  ASSERT_TRUE(sources) << sources.error().message;
  std::string order;
  for (const Source& source : *sources) order += source.text + " ";
  EXPECT_EQ(order, "main 0 1 2 ");
  EXPECT_EQ((*sources)[1].name, (folder_ / "conf.d/B.yaml").string());
}

TEST_F(ReadSources, WhatCanNotBeReadIsNamed) {
  const auto missing = read_sources((folder_ / "no.yaml").string());
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, ErrorKind::not_found);
  EXPECT_NE(missing.error().message.find("no.yaml"), std::string::npos);

  const auto folder = read_sources(folder_.string());
  ASSERT_FALSE(folder);
  EXPECT_EQ(folder.error().kind, ErrorKind::invalid);

  const std::string path = write("lvs.yaml", "main");
  fs::create_directories(folder_ / "conf.d");
  fs::create_symlink("nowhere", folder_ / "conf.d/broken.yaml");
  const auto broken = read_sources(path);
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().kind, ErrorKind::not_found);
  EXPECT_NE(broken.error().message.find("broken.yaml"), std::string::npos);
}

TEST_F(ReadSources, APipeHasNoFragments) {
  write("conf.d/a.yaml", "no");
  const fs::path path = folder_ / "pipe";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  // Each end waits for the other. Were it open before, all that is written could be gone with whoever closes it last.
  const pid_t child = fork();
  if (child == 0) {
    std::ofstream(path) << "interfaces: [wan0]\n";
    _exit(0);
  }
  const auto sources = read_sources(path.string());
  ASSERT_TRUE(sources) << sources.error().message;
  ASSERT_EQ(sources->size(), 1U);
  EXPECT_EQ((*sources)[0].text, "interfaces: [wan0]\n");
}

TEST_F(ReadSources, TooLongIsReadNoFurtherThanNeeded) {
  const std::string path = write("lvs.yaml", "");
  fs::resize_file(path, 1U << 30);
  const auto sources = read_sources(path);
  ASSERT_TRUE(sources) << sources.error().message;
  EXPECT_GT((*sources)[0].text.size(), 16U << 20);
  EXPECT_LT((*sources)[0].text.size(), 17U << 20);
}

}  // namespace
}  // namespace xlvs::config
