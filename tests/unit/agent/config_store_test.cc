// SPDX-License-Identifier: Apache-2.0
#include "agent/config_store.h"

#include <gmock/gmock.h>

#include <sys/stat.h>
#include <unistd.h>

#include "agent/durable_file.h"
#include "tests/unit/agent/temporary.h"

namespace xlvs::agent {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

class ConfigStoreTest : public ::testing::Test {
 protected:
  ConfigStoreTest() {
    write_file(main_, "main 1");
    write_file(web_, "web 1");
    write_file(old_, "old 1");
  }
  // As the next lvsd finds it.
  [[nodiscard]] ConfigStore store() const { return ConfigStore(directory_ / "state/before-push"); }
  void expect_as_before() const {
    EXPECT_EQ(read_file(main_), "main 1");
    EXPECT_EQ(read_file(web_), "web 1");
    EXPECT_EQ(read_file(old_), "old 1");
    EXPECT_FALSE(fs::exists(new_));
  }

  TemporaryDirectory directory_;
  std::string main_ = directory_ / "etc/lvs.yaml", web_ = directory_ / "etc/conf.d/web.yaml",
              old_ = directory_ / "etc/conf.d/old.yaml", new_ = directory_ / "etc/conf.d/new.yaml";
  std::vector<FileChange> changes_{{main_, "main 2"}, {web_, "web 2"}, {old_, std::nullopt}, {new_, "new 2"}};
};

TEST_F(ConfigStoreTest, ReplacesAndKeepsWhatWas) {
  ASSERT_TRUE(store().replace(changes_));
  EXPECT_EQ(read_file(main_), "main 2");
  EXPECT_EQ(read_file(web_), "web 2");
  EXPECT_FALSE(fs::exists(old_));
  EXPECT_EQ(read_file(new_), "new 2");
  EXPECT_TRUE(store().unfinished());
  store().keep();
  EXPECT_FALSE(store().unfinished());
  EXPECT_EQ(read_file(store().folder() + "/lvs.yaml"), "main 1") << "an operator finds it";
  EXPECT_EQ(read_file(store().folder() + "/conf.d/web.yaml"), "web 1");
  EXPECT_EQ(read_file(store().folder() + "/conf.d/old.yaml"), "old 1");
}

TEST_F(ConfigStoreTest, RollsBackAlsoInAnotherLife) {
  ASSERT_TRUE(store().replace(changes_));
  ASSERT_TRUE(store().roll_back());
  expect_as_before();
  EXPECT_FALSE(store().unfinished());
}

// Power fails after each step of the change in turn: what the next start finds is put right.
TEST_F(ConfigStoreTest, AnInterruptedChangeIsUndone) {
  for (std::size_t done = 0; done <= changes_.size(); ++done) {
    ASSERT_TRUE(store().replace(changes_));
    for (std::size_t i = done; i < changes_.size(); ++i) {  // not yet reached
      const FileChange& change = changes_[i];
      if (change.path == new_)
        fs::remove(new_);
      else
        write_file(change.path,
                   fs::path(change.path).stem() == "lvs" ? "main 1" : fs::path(change.path).stem().string() + " 1");
    }
    write_file(temporary_of(new_), "hal");
    ASSERT_TRUE(store().unfinished());
    ASSERT_TRUE(store().roll_back());
    expect_as_before();
  }
}

TEST_F(ConfigStoreTest, AnErrorLeavesTheFilesAsTheyWere) {
  changes_.insert(changes_.begin() + 2, {directory_ / "etc/lvs.yaml/no-folder/x.yaml", "x"});
  const auto done = store().replace(changes_);
  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().message, HasSubstr("lvs.yaml/no-folder"));
  expect_as_before();
  EXPECT_FALSE(store().unfinished());
}

TEST_F(ConfigStoreTest, NothingIsTouchedWithoutACopy) {
  write_file(directory_ / "state", "not a folder");
  EXPECT_FALSE(store().replace(changes_));
  expect_as_before();
}

TEST_F(ConfigStoreTest, ACopyThatIsGoneIsSaid) {
  ASSERT_TRUE(store().replace(changes_));
  fs::remove(store().folder() + "/conf.d/web.yaml");
  const auto undone = store().roll_back();
  ASSERT_FALSE(undone);
  EXPECT_THAT(undone.error().message, HasSubstr(web_));
  EXPECT_TRUE(store().unfinished());
}

TEST_F(ConfigStoreTest, NoChangeIsNoneToUndo) {
  EXPECT_FALSE(store().unfinished());
  write_file(store().folder() + "/manifest.json", "{nonsense");
  EXPECT_FALSE(store().unfinished());
  EXPECT_FALSE(store().roll_back());
}

// A12: weeks later the next start threw away what the operator had written since.
TEST_F(ConfigStoreTest, WhatIsWrittenSinceIsNotUndone) {
  ASSERT_TRUE(store().replace(changes_));
  write_file(web_, "web by hand");
  write_file(old_, "old by hand");
  ASSERT_TRUE(store().roll_back(true));
  EXPECT_EQ(read_file(web_), "web by hand");
  EXPECT_EQ(read_file(old_), "old by hand");
  EXPECT_EQ(read_file(main_), "main 1");
  EXPECT_EQ(read_file(main_ + ".before-undo"), "main 2") << "what is overwritten stays beside it";
  EXPECT_FALSE(fs::exists(new_));
  EXPECT_EQ(read_file(new_ + ".before-undo"), "new 2");
  EXPECT_FALSE(fs::exists(web_ + ".before-undo"));
  EXPECT_FALSE(store().unfinished());
}

TEST_F(ConfigStoreTest, FilesThatWereNeverTouchedAreNotWritten) {
  ASSERT_TRUE(store().replace(changes_));
  for (const auto& [path, text] : {std::pair(main_, "main 1"), std::pair(web_, "web 1"), std::pair(old_, "old 1")})
    write_file(path, text);
  fs::remove(new_);
  fs::remove_all(store().folder() + "/conf.d");  // they are not needed
  fs::create_directory(temporary_of(main_));     // nor could it be written
  const auto undone = store().roll_back();
  EXPECT_TRUE(undone) << undone.error().message;
  expect_as_before();
}

TEST_F(ConfigStoreTest, AListThatCanNotBeMarkedIsNotActedUponLater) {
  ASSERT_TRUE(store().replace(changes_));
  fs::create_directory(temporary_of(store().manifest()));  // as on a full disk: nothing can be written
  store().keep();
  EXPECT_FALSE(store().unfinished());
}

TEST_F(ConfigStoreTest, ASecretsModeStaysItsOwn) {
  const auto mode = [](const std::string& path) { return static_cast<unsigned>(fs::status(path).permissions()); };
  for (FileChange& change : changes_) change.mode = 0600;
  fs::permissions(web_, fs::perms(0644));
  fs::permissions(old_, fs::perms(0600));
  ASSERT_TRUE(store().replace(changes_));
  EXPECT_EQ(mode(new_), 0600U);
  EXPECT_EQ(mode(web_), 0600U) << "no wider than where it comes from";
  EXPECT_EQ(mode(store().folder()), 0750U);
  EXPECT_EQ(mode(store().folder() + "/conf.d/old.yaml"), 0600U);
  ASSERT_TRUE(store().roll_back());
  EXPECT_EQ(mode(old_), 0600U) << "a file that came back";
  EXPECT_EQ(mode(web_), 0644U);

  changes_ = {{new_, "new 2", 0666}};
  ASSERT_TRUE(store().replace(changes_));
  EXPECT_EQ(mode(new_), 0640U) << "at most";
  store().keep();
  changes_ = {{directory_ / "etc/conf.d/untold.yaml", "x", 0}};
  ASSERT_TRUE(store().replace(changes_));
  EXPECT_EQ(mode(changes_[0].path), 0600U);
}

TEST_F(ConfigStoreTest, OwnersStayAndComeBack) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to give files away";
  for (const std::string& path : {web_, old_}) ASSERT_EQ(chown(path.c_str(), 65534, 65534), 0);
  ASSERT_TRUE(store().replace(changes_));
  EXPECT_EQ(rights_of(web_)->owner, 65534U);
  ASSERT_TRUE(store().roll_back());
  for (const std::string& path : {web_, old_}) {
    EXPECT_EQ(rights_of(path)->owner, 65534U) << path;
    EXPECT_EQ(rights_of(path)->group, 65534U) << path;
  }
}

TEST_F(ConfigStoreTest, ModesAndLinksStay) {
  fs::permissions(main_, fs::perms::owner_read | fs::perms::owner_write);
  write_file(directory_ / "elsewhere/web.yaml", "web 1");
  fs::remove(web_);
  fs::create_symlink(directory_ / "elsewhere/web.yaml", web_);
  ASSERT_TRUE(store().replace(changes_));
  EXPECT_EQ(fs::status(main_).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_TRUE(fs::is_symlink(web_));
  EXPECT_EQ(read_file(directory_ / "elsewhere/web.yaml"), "web 2");
}

}  // namespace
}  // namespace xlvs::agent
