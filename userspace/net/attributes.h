// SPDX-License-Identifier: Apache-2.0
// The attributes of a netlink message as a table by type. Private to net/.
#pragma once

#include <array>
#include <cstddef>

#include <libmnl/libmnl.h>

namespace xlvs::net {

// Those of type < Count; absent ones are nullptr. `offset`: the length of what precedes them in the payload.
template <std::size_t Count>
std::array<const nlattr*, Count> attributes(const nlmsghdr* message, std::size_t offset) {
  std::array<const nlattr*, Count> table{};
  mnl_attr_parse(
      message, static_cast<unsigned>(offset),
      [](const nlattr* attribute, void* data) {
        if (mnl_attr_get_type(attribute) < Count) {
          (*static_cast<std::array<const nlattr*, Count>*>(data))[mnl_attr_get_type(attribute)] = attribute;
        }
        return MNL_CB_OK;
      },
      &table);
  return table;
}

}  // namespace xlvs::net
