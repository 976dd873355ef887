// SPDX-License-Identifier: Apache-2.0
// Every document of corpus/ against the parser; schema_test.py holds the same documents to the JSON Schema.
//   valid/     accepted by both
//   invalid/   refused by both
//   semantic/  refused by the parser; a schema can not tell
//   syntax/    refused by the parser before there is a document that a schema could judge
// A refused document says in its head what is wrong: "# error: LINE:COLUMN: part of the message".
#include <regex>
#include <set>

#include "tests/unit/config/support.h"

namespace xlvs::config {
namespace {

struct Expected {
  int line = 0;
  int column = 0;
  std::string part;
};

std::vector<Expected> expected_errors(const std::string& text) {
  static const std::regex pattern("# error: ([0-9]+):([0-9]+): ([^\n]*)\n");
  std::vector<Expected> result;
  for (std::sregex_iterator match(text.begin(), text.end(), pattern), end; match != end; ++match)
    result.push_back({std::stoi((*match)[1]), std::stoi((*match)[2]), (*match)[3]});
  return result;
}

bool matches(const Expected& expected, const Diagnostic& found) {
  return expected.line == found.line && expected.column == found.column &&
         found.message.find(expected.part) != std::string::npos;
}

TEST(Corpus, ValidDocumentsAreAccepted) {
  for (const auto& path : files(corpus() / "valid")) {
    const auto loaded = parse_text(read_text_file(path));
    EXPECT_TRUE(loaded) << path << "\n" << all(loaded.error());
  }
}

TEST(Corpus, RefusedDocumentsSayWhereAndWhy) {
  for (const char* folder : {"invalid", "semantic", "syntax"})
    for (const auto& path : files(corpus() / folder)) {
      SCOPED_TRACE(path.string());
      const std::string text = read_text_file(path);
      const auto loaded = parse_text(text);
      ASSERT_FALSE(loaded);
      const std::vector<Expected> expected = expected_errors(text);
      ASSERT_FALSE(expected.empty()) << "the document does not say what is wrong with it\n" << all(loaded.error());
      EXPECT_EQ(loaded.error().size(), expected.size()) << all(loaded.error());
      for (const Expected& one : expected) {
        const auto found = std::count_if(loaded.error().begin(), loaded.error().end(),
                                         [&](const Diagnostic& diagnostic) { return matches(one, diagnostic); });
        EXPECT_EQ(found, 1) << one.line << ":" << one.column << ": " << one.part << "\n" << all(loaded.error());
      }
    }
}

// All errors of a document at once, in the order of the document.
TEST(Corpus, ErrorsAreInOrder) {
  for (const auto& path : files(corpus() / "invalid")) {
    const auto loaded = parse_text(read_text_file(path));
    ASSERT_FALSE(loaded) << path;
    EXPECT_TRUE(std::is_sorted(loaded.error().begin(), loaded.error().end(),
                               [](const Diagnostic& a, const Diagnostic& b) {
                                 return std::tie(a.line, a.column) < std::tie(b.line, b.column);
                               }))
        << path << "\n"
        << all(loaded.error());
  }
}

TEST(Examples, AreAccepted) {
  for (const char* folder : {"examples", "examples/anycast"})
    for (const auto& path : files(repository() / folder)) {
      const auto loaded = parse_text(read_text_file(path));
      EXPECT_TRUE(loaded) << path << "\n" << all(loaded.error());
    }
}

}  // namespace
}  // namespace xlvs::config
