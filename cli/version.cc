// SPDX-License-Identifier: Apache-2.0
#include "cli/command.h"

namespace xlvs::cli {

void add_version(CLI::App& command, Action& action) {
  command.callback([&action] {
    action = [](const Context& context) -> int {
      const auto answer = context.client.get("/v1/version");
      if (context.format != Format::table) {
        context.print_data(
            control::Json{{"lvsctl", XLVS_VERSION}, {"lvsd", answer ? *answer : control::Json(nullptr)}});
        return answer ? kOk : context.report(answer.error());
      }
      context.print("lvsctl " XLVS_VERSION "\n");
      return context.show<control::Version>(answer, [](const control::Version& lvsd) {
        return fmt::format("lvsd   {} (instance {}, pid {})\n", lvsd.version, lvsd.instance, lvsd.pid);
      });
    };
  });
}

}  // namespace xlvs::cli
