// SPDX-License-Identifier: Apache-2.0
#include "control/status_page.h"

#include <gmock/gmock.h>
#include <openssl/evp.h>

namespace xlvs::control {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string between(const std::string& text, const std::string& open, const std::string& close) {
  const std::size_t begin = text.find(open) + open.size();
  return text.substr(begin, text.find(close, begin) - begin);
}

std::string hash(const std::string& text) {
  unsigned char digest[32], encoded[45];
  EVP_Digest(text.data(), text.size(), digest, nullptr, EVP_sha256(), nullptr);
  const int size = EVP_EncodeBlock(encoded, digest, sizeof(digest));
  return "'sha256-" + std::string(encoded, encoded + size) + "'";
}

TEST(StatusPage, PolicyAllowsExactlyItsOwnScriptAndStyle) {
  EXPECT_THAT(status_page_policy(), HasSubstr("script-src " + hash(between(status_page(), "<script>", "</script>"))));
  EXPECT_THAT(status_page_policy(), HasSubstr("style-src " + hash(between(status_page(), "<style>", "</style>"))));
  EXPECT_THAT(status_page_policy(), Not(HasSubstr("unsafe")));
}

TEST(StatusPage, LoadsNothingFromElsewhere) {
  for (const char* text : {"http:", "https:", " src=", "@import", "url("}) {
    EXPECT_THAT(status_page(), Not(HasSubstr(text)));
  }
}

TEST(StatusPage, NeverParsesTextAsHtml) {
  for (const char* sink : {"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "DOMParser",
                           " onclick", " style=\""}) {
    EXPECT_THAT(status_page(), Not(HasSubstr(sink)));
  }
}

}  // namespace
}  // namespace xlvs::control
