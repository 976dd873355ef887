// SPDX-License-Identifier: Apache-2.0
#include "ha/config_message.h"

#include <gmock/gmock.h>

namespace xlvs::ha {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::StartsWith;

const std::vector<std::uint8_t> kBytes{1, 2, 3};

TEST(ConfigMessage, FilesComeBackAsTheyWere) {
  const std::vector<ConfigFile> files{
      {"", "services: []\n"}, {"web.yaml", ""}, {"zwölf.yaml", std::string(70000, 'x')}};
  const auto whole = encode_files(files);
  ASSERT_TRUE(whole);
  EXPECT_EQ(decode_files(*whole), files);
  EXPECT_EQ(decode_files(*encode_files({})), std::vector<ConfigFile>{});
}

TEST(ConfigMessage, CutOrProlongedFilesAreRefused) {
  std::vector<std::uint8_t> whole = *encode_files({{"", "abc"}, {"web.yaml", "def"}});
  const std::size_t without_modes = whole.size() - 4;  // of an earlier version
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_EQ(decode_files(std::span(whole).first(size)).has_value(), size == without_modes) << size;
  whole.push_back(0);
  EXPECT_FALSE(decode_files(whole));
}

TEST(ConfigMessage, NamesAreOfFilesInOneFolder) {
  for (const char* name : {"web.yaml", "10-web services.yaml", "ü.yaml"}) EXPECT_TRUE(is_config_name(name)) << name;
  for (const char* name :
       {"", ".yaml", ".web.yaml", "web.yml", "../web.yaml", "a/b.yaml", "/etc/x.yaml", "a\nb.yaml", "a\x1b[2J.yaml"})
    EXPECT_FALSE(is_config_name(name)) << name;
  EXPECT_FALSE(is_config_name(std::string(kLongestConfigName, 'a') + ".yaml"));
  EXPECT_FALSE(encode_files({{"../../passwd.yaml", "x"}}));
  // Somebody else's encoder.
  std::vector<std::uint8_t> whole = *encode_files({{"aa_passwd.yaml", "x"}});
  whole[7] = whole[8] = '.';
  whole[9] = '/';
  EXPECT_FALSE(decode_files(whole));
}

TEST(ConfigMessage, ANameTwiceIsRefused) {
  EXPECT_FALSE(decode_files(*encode_files({{"a.yaml", "1"}, {"a.yaml", "2"}})));
}

TEST(ConfigMessage, TooMuchIsSaid) {
  EXPECT_THAT(encode_files(std::vector<ConfigFile>(kMostConfigFiles + 1)).error().message, HasSubstr("1001"));
  EXPECT_THAT(encode_files({{"", std::string(kLargestConfig, 'x')}}).error().message, HasSubstr("longer"));
}

TEST(ConfigMessage, ChunksComeBackAndTheirLimitsHold) {
  const std::vector<std::uint8_t> largest(kLargestChunk, 7);
  const auto body = encode(ConfigChunk{42, true, kLargestConfig, 100, largest});
  EXPECT_EQ(body.size(), kLargestPeerBody);
  const auto chunk = decode_chunk(body);
  ASSERT_TRUE(chunk);
  EXPECT_EQ(chunk->transfer, 42U);
  EXPECT_TRUE(chunk->dry_run);
  EXPECT_EQ(chunk->length, kLargestConfig);
  EXPECT_EQ(chunk->offset, 100U);
  EXPECT_TRUE(std::equal(chunk->bytes.begin(), chunk->bytes.end(), largest.begin(), largest.end()));

  EXPECT_FALSE(decode_chunk(encode(ConfigChunk{1, false, 0, 0, kBytes})));
  EXPECT_FALSE(decode_chunk(encode(ConfigChunk{1, false, kLargestConfig + 1, 0, kBytes})));
  EXPECT_FALSE(decode_chunk(encode(ConfigChunk{1, false, 10, 0, {}})));
  EXPECT_FALSE(decode_chunk(encode(ConfigChunk{1, false, 10, 10, kBytes})));
  EXPECT_FALSE(decode_chunk(encode(ConfigChunk{1, false, 10, 8, kBytes}))) << "behind the end";
  EXPECT_TRUE(decode_chunk(encode(ConfigChunk{1, false, 10, 7, kBytes})));
  const auto short_body = encode(ConfigChunk{1, false, 10, 0, kBytes});
  for (std::size_t size = 0; size <= kConfigChunkHead; ++size)
    EXPECT_FALSE(decode_chunk(std::span(short_body).first(size)));
}

TEST(ConfigMessage, ProgressComesBack) {
  const auto body = encode(ConfigProgress{42, 1000});
  const auto progress = decode_progress(body);
  ASSERT_TRUE(progress);
  EXPECT_EQ(progress->transfer, 42U);
  EXPECT_EQ(progress->arrived, 1000U);
  EXPECT_FALSE(decode_progress(std::span(body).first(11)));
  EXPECT_FALSE(decode_progress(encode(ConfigProgress{42, kLargestConfig + 1})));
}

TEST(ConfigMessage, VerdictsComeBack) {
  const ConfigVerdict verdict{ConfigOutcome::invalid, 7, {"web.yaml:3:1: what", "and that"}};
  const auto answer = decode_answer(encode(ConfigAnswer{42, verdict}));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->transfer, 42U);
  EXPECT_EQ(answer->verdict, verdict);
  EXPECT_THAT(decode_answer(encode(ConfigAnswer{1, {ConfigOutcome::applied, 1, {}}}))->verdict.lines, ElementsAre());
  auto unknown = encode(ConfigAnswer{1, verdict});
  for (const int outcome : {0, 6, 255}) {
    unknown[8] = static_cast<std::uint8_t>(outcome);
    EXPECT_FALSE(decode_answer(unknown)) << outcome;
  }
}

TEST(ConfigMessage, WhatDoesNotFitIsCounted) {
  const auto lines_of = [](const std::vector<std::string>& lines) {
    const auto body = encode(ConfigAnswer{1, {ConfigOutcome::applied, 1, lines}});
    EXPECT_LE(body.size(), kLargestPeerBody);
    return decode_answer(body)->verdict.lines;
  };
  const auto some = lines_of(std::vector<std::string>(1000, std::string(99, 'x')));
  ASSERT_THAT(some, SizeIs(14));
  EXPECT_EQ(some.back(), "... and 987 more");
  const auto one = lines_of({std::string(5000, 'y')});
  ASSERT_THAT(one, SizeIs(1));
  EXPECT_THAT(one[0], StartsWith("yyyy"));
  const auto two = lines_of({std::string(5000, 'y'), "z"});
  ASSERT_THAT(two, SizeIs(2));
  EXPECT_EQ(two[1], "... and 1 more");
  EXPECT_THAT(lines_of({"a\nb", "c"}), ElementsAre("a b", "c"));
}

}  // namespace
}  // namespace xlvs::ha
