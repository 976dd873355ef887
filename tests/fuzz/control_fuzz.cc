// SPDX-License-Identifier: Apache-2.0
// Whatever bytes make a request of the control API: it is answered, an error with a reason, and what may only look
// never changes anything. Input: "METHOD TARGET\nBODY"; a first byte above 'Z' means TCP.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "../support/fake_operations.h"
#include "control/json.h"
#include "control/routes.h"
#include "control/uri.h"

namespace {

using namespace xlvs;
using namespace xlvs::control;

void check(bool holds) {
  if (!holds) std::abort();
}

// A struct that JSON could be read as is read back from its own JSON unchanged.
template <typename T>
void check_decode(const Json& json) {
  const auto value = decode<T>(json);
  if (!value) return check(!value.error().message.empty());
  const auto text = parse_json(dump(Json(*value)));
  check(text && decode<T>(*text) && dump(Json(*decode<T>(*text))) == dump(Json(*value)));
}

void check_every_struct(std::string_view text) {
  const auto json = parse_json(text);
  if (!json) return check(!json.error().message.empty());
#define XLVS_CHECK(Struct) check_decode<Struct>(*json);
  XLVS_CONTROL_STRUCTS(XLVS_CHECK)
#undef XLVS_CHECK
}

void check_answer(const Response& response) {
  check(response.status >= 200 && response.status < 600 && response.status != 500);
  if (response.type != "application/json") return check(response.status == 200);
  const auto json = parse_json(response.body);
  check(json.has_value());
  check((response.status == 200) != (json->is_object() && json->contains("error")));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  const bool tcp = !text.empty() && static_cast<unsigned char>(text.front()) > 'Z';
  if (tcp) text.remove_prefix(1);
  const std::string_view head = text.substr(0, text.find('\n'));
  const std::string_view body = head.size() < text.size() ? text.substr(head.size() + 1) : std::string_view();
  const std::string_view method = head.substr(0, head.find(' '));
  const std::string_view target = method.size() < head.size() ? head.substr(method.size() + 1) : std::string_view();

  FakeOperations fake;
  const Request request{std::string(method), std::string(target), std::string(body)};
  check_answer(respond(request, fake, tcp ? Access::read_only : Access::control));
  check(!tcp || fake.calls.empty());
  check(request.method == "POST" || fake.calls.empty());

  if (const auto decoded = percent_decode(body)) check(percent_decode(percent_encode(*decoded)) == *decoded);
  check_every_struct(body);
  return 0;
}
