// SPDX-License-Identifier: Apache-2.0
#include "backends/tc/uninstall.h"

#include <sys/file.h>

#include "backends/tc/bpffs.h"
#include "backends/tc/clsact.h"
#include "backends/tc/pin_store.h"

namespace postern::tc {
namespace {

std::string describe(std::uint32_t ifindex, Hook hook, AttachKind kind) {
  return std::string(name_of(hook)) + " of interface " + std::to_string(ifindex) +
         (kind == AttachKind::tcx ? " (TCX)" : " (clsact)");
}

Result<void> remove_attachments(const HookPlace& place, UninstallReport& report) {
  auto attachments = pinned_attachments(place);
  if (!attachments) {
    if (attachments.error().code != ErrorCode::invalid_input) return fail_as(attachments);
    report.left.push_back(attachments.error().message);
    return {};
  }
  for (auto& attachment : *attachments) {
    if (auto off = attachment->take_off(); !off) return off;
    report.removed.push_back(describe(place.ifindex, place.hook, attachment->kind()));
  }
  return {};
}

// A folder that is still there has somebody else's things in it.
Result<void> remove_and_report(const std::string& folder, UninstallReport& report) {
  if (!folder_exists(folder)) return {};
  auto removed = remove_folder(folder);
  if (!removed) return fail_as(removed);
  (*removed ? report.removed : report.left).push_back(folder);
  return {};
}

Result<void> remove_interfaces(const std::string& version, UninstallReport& report) {
  auto indexes = pinned_interfaces(version);
  if (!indexes) return fail_as(indexes);
  for (const std::uint32_t ifindex : *indexes) {
    const std::string folder = version + "/interfaces/" + std::to_string(ifindex);
    for (const Hook hook : kHooks) {
      if (auto removed = remove_attachments({ifindex, hook, folder}, report); !removed) return removed;
    }
    if (auto removed = remove_folder(folder); !removed) return fail_as(removed);
  }
  return remove_and_report(version + "/interfaces", report);
}

Result<void> remove_version(const std::string& version, UninstallReport& report) {
  if (auto removed = remove_interfaces(version, report); !removed) return removed;
  auto generations = generation_folders(version);
  if (!generations) return fail_as(generations);
  for (const std::string& folder : *generations) {
    if (auto removed = remove_generation(folder); !removed) return fail_as(removed);
    if (folder_exists(folder)) {
      report.left.push_back(folder);
    } else {
      report.removed.push_back(folder);
    }
  }
  return remove_and_report(version, report);
}

// A filter needs no pin to stay: look at every interface.
Result<void> remove_filters(UninstallReport& report) {
  auto filters = Filters::open();
  if (!filters) return fail_as(filters);
  for (const std::uint32_t ifindex : interfaces_here()) {
    auto found = filters->of(ifindex);
    if (!found) return fail_as(found);
    for (const Filter& filter : *found) {
      if (!is_ours(filter)) continue;
      if (auto removed = filters->remove(filter); !removed) return removed;
      report.removed.push_back(describe(ifindex, filter.hook, AttachKind::clsact));
    }
  }
  return {};
}

}  // namespace

Result<UninstallReport> uninstall(const std::string& pin_path) {
  UninstallReport report;
  if (auto good = require_bpffs(pin_path); !good) return fail_as(good);
  if (folder_exists(pin_path)) {
    const auto lock = lock_pin_path(pin_path);
    if (!lock) return fail_as(lock);
    auto versions = version_folders(pin_path);
    if (!versions) return fail_as(versions);
    for (const std::string& version : *versions) {
      if (auto removed = remove_version(version, report); !removed) return fail_as(removed);
    }
    if (auto removed = remove_and_report(pin_path, report); !removed) return fail_as(removed);
  }
  if (auto removed = remove_filters(report); !removed) return fail_as(removed);
  return report;
}

}  // namespace postern::tc
