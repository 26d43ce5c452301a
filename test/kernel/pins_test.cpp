// SPDX-License-Identifier: Apache-2.0
// The folder of pins itself: where it may be, who may use it, what is made of leftovers and of what is
// not ours, and that removal takes all of ours and nothing else.
#include <bpf/bpf.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <functional>

#include "backends/tc/clsact.h"
#include "backends/tc/filters.h"
#include "test/kernel/counting_program.h"
#include "test/kernel/network.h"
#include "test/kernel/takeover_fixture.h"

namespace postern::test {
namespace {

class Pins : public TakeoverTest {
 protected:
  // What opening the backend with these options is refused with.
  static Error refused(const TcOptions& options) {
    std::unique_ptr<NodeEnforcer> made;
    const auto done = make(options, made);
    EXPECT_FALSE(done);
    return done ? Error{} : done.error();
  }
  // A process that enforced and is gone.
  void leave_pins() {
    ASSERT_TRUE(enforce(options()));
    enforcer_.reset();
  }
  [[nodiscard]] std::string generation() const { return version() + "/generation-1"; }
  [[nodiscard]] std::string interface_folder() const {
    return version() + "/interfaces/" + std::to_string(rig_->pod(0).ifindex);
  }
  [[nodiscard]] std::vector<tc::Filter> filters() const {
    auto open = tc::Filters::open();
    auto found = open->of(rig_->pod(0).ifindex);
    EXPECT_TRUE(found);
    return found ? *found : std::vector<tc::Filter>{};
  }
  // Programs on a hook of the pod's interface by TCX.
  [[nodiscard]] std::uint32_t tcx_programs(tc::Hook hook) const {
    std::uint32_t flags = 0;
    std::array<std::uint32_t, 16> ids{};
    std::uint32_t count = ids.size();
    const auto type = static_cast<bpf_attach_type>(hook == tc::Hook::ingress ? 46 : 47);
    bpf_prog_query(static_cast<int>(rig_->pod(0).ifindex), type, 0, &flags, ids.data(), &count);
    return count;
  }
  // Somebody's map under a path.
  static void pin_foreign_map(const std::string& path) {
    const UniqueFd map(bpf_map_create(BPF_MAP_TYPE_ARRAY, "foreign", 4, 8, 16, nullptr));
    ASSERT_TRUE(map.valid());
    ASSERT_EQ(bpf_obj_pin(map.get(), path.c_str()), 0) << path;
  }
};

// What is the same whichever way programs are attached.
class PinFolder : public Pins {};

TEST_P(PinFolder, AFolderThatIsNoBpfFileSystemIsRefusedAndTheMountCommandNamed) {
  struct Row {
    const char* path;
    ErrorCode code;
    const char* says;
  };
  for (const Row& row : {Row{"/run/postern", ErrorCode::unsupported, "mount -t bpf bpf /sys/fs/bpf"},
                         Row{"/sys/fs/postern", ErrorCode::unsupported, "mount -t bpf bpf /sys/fs/bpf"},
                         Row{"/nowhere/at/all", ErrorCode::unsupported, "mount -t bpf bpf /sys/fs/bpf"},
                         Row{"postern", ErrorCode::invalid_input, "absolute path"},
                         Row{"/sys/fs/bpf/postern/", ErrorCode::invalid_input, "slash"},
                         Row{"/sys/fs/bpf/postern.d", ErrorCode::invalid_input, "dot"}}) {
    TcOptions options;
    options.pin_path = row.path;
    const Error error = refused(options);
    EXPECT_EQ(error.code, row.code) << row.path << ": " << error.message;
    EXPECT_NE(error.message.find(row.says), std::string::npos) << error.message;
    EXPECT_NE(error.message.find(row.path), std::string::npos) << error.message;
    const auto removed = tc::uninstall(row.path);
    ASSERT_FALSE(removed) << row.path;
    EXPECT_EQ(removed.error().code, row.code) << row.path;
  }
}

TEST_P(PinFolder, OnlyOneProcessHoldsAPinPath) {
  auto first = first_process(options());
  ASSERT_TRUE(first) << first.error().to_string();
  const std::string holder = "process " + std::to_string(first->id());
  EXPECT_NE(refused(options()).message.find(holder), std::string::npos) << refused(options()).message;
  const auto removed = tc::uninstall(path_);
  ASSERT_FALSE(removed);
  EXPECT_NE(removed.error().message.find(holder), std::string::npos) << removed.error().message;
  EXPECT_TRUE(is_pinned(0)) << "nothing of it was removed";
  TcOptions elsewhere = options();
  elsewhere.pin_path += "_too";
  std::unique_ptr<NodeEnforcer> other;
  EXPECT_TRUE(make(elsewhere, other)) << "another path is another agent's";
  other.reset();
  ASSERT_TRUE(tc::uninstall(elsewhere.pin_path));
  first->kill();
  EXPECT_TRUE(enforce(options()));
}

TEST_P(Pins, ManyRestartsLeaveWhatOneLeaves) {
  const auto pins = [&] {
    std::vector<std::string> found;
    const std::function<void(const std::string&)> walk = [&](const std::string& folder) {
      const auto names = tc::names_in(folder);
      ASSERT_TRUE(names);
      for (const std::string& name : *names) {
        found.push_back(name);
        if (tc::folder_exists(folder + "/" + name)) walk(folder + "/" + name);
      }
    };
    walk(path_);
    return found;
  };
  leave_pins();
  std::vector<std::string> first = pins();
  for (int restart = 2; restart < 6; ++restart) {
    leave_pins();
    std::replace(first.begin(), first.end(), "generation-" + std::to_string(restart - 1),
                 "generation-" + std::to_string(restart));
    EXPECT_EQ(pins(), first) << "restart " << restart;
  }
}

TEST_P(PinFolder, LeftoversOfAKilledStartAreRemoved) {
  leave_pins();
  for (const char* leftover : {"/building", "/removing-7"}) {
    ASSERT_TRUE(tc::make_folder(version() + leftover));
    const UniqueFd map(bpf_map_create(BPF_MAP_TYPE_ARRAY, "pn_node", 4, 8, 1, nullptr));
    ASSERT_EQ(bpf_obj_pin(map.get(), (version() + leftover + "/pn_node").c_str()), 0);
  }
  std::unique_ptr<NodeEnforcer> next;
  ASSERT_TRUE(make(options(), next));
  EXPECT_EQ(generations_in(version()), std::vector<std::string>{"generation-1"});
  EXPECT_TRUE(next->backend().inheritance().connections);
}

TEST_P(PinFolder, AGenerationThatLacksAPinIsReplacedWithoutItsConnections) {
  leave_pins();
  ASSERT_TRUE(tc::remove_pin(generation() + "/pn_ct"));
  std::unique_ptr<NodeEnforcer> next;
  ASSERT_TRUE(make(options(), next));
  EXPECT_FALSE(next->backend().inheritance().connections);
  EXPECT_EQ(next->backend().inheritance().interfaces.size(), 1u) << "its interface is taken over all the same";
  EXPECT_NE(joined(next->backend().take_notes()).find(generation() + "/pn_ct: there is no such pin"),
            std::string::npos);
  ASSERT_TRUE(next->reconcile(cluster_, endpoints_, {}));
  EXPECT_EQ(generations_in(version()), std::vector<std::string>{"generation-2"});
}

// Each would be taken for something that it is not.
TEST_P(Pins, WhatStandsUnderANameOfOursAndIsNotOursIsRefusedAndStaysInForce) {
  struct Row {
    const char* name;
    std::string path;
    const char* says;
  };
  leave_pins();
  const std::size_t attached = filters().size() + tcx_programs(tc::Hook::ingress);
  for (const Row& row : {Row{"a map of another shape", generation() + "/pn_ct", "is a map of type"},
                         Row{"counters of another size", generation() + "/pn_counters", "is a map of type"},
                         Row{"a map for a link", interface_folder() + "/ingress", "is not a link"}}) {
    const std::string aside = path_ + "/aside";
    const bool had = access(row.path.c_str(), F_OK) == 0;
    if (had) {
      ASSERT_TRUE(tc::rename_folder(row.path, aside));
    }
    pin_foreign_map(row.path);
    const Error error = refused(options());
    EXPECT_EQ(error.code, ErrorCode::invalid_input) << row.name;
    EXPECT_NE(error.message.find(row.path), std::string::npos) << row.name << ": " << error.message;
    EXPECT_NE(error.message.find(row.says), std::string::npos) << row.name << ": " << error.message;
    ASSERT_TRUE(tc::remove_pin(row.path));
    if (had) {
      ASSERT_TRUE(tc::rename_folder(aside, row.path));
    }
  }
  EXPECT_EQ(filters().size() + tcx_programs(tc::Hook::ingress), attached);
  EXPECT_TRUE(enforce(options())) << "and as before when it is gone";
}

TEST_P(PinFolder, AProgramWhereAMapShouldBeAndALinkOfAnotherInterfaceAreRefused) {
  ASSERT_TRUE(add_pods(1));
  cluster_ = cluster_of(2);
  leave_pins();
  ASSERT_TRUE(tc::rename_folder(generation() + "/pn_node", path_ + "/aside"));
  ASSERT_TRUE(tc::rename_folder(generation() + "/pn_to_pod", generation() + "/pn_node"));
  EXPECT_NE(refused(options()).message.find("/pn_node is not a map"), std::string::npos);
  ASSERT_TRUE(tc::rename_folder(generation() + "/pn_node", generation() + "/pn_to_pod"));
  ASSERT_TRUE(tc::rename_folder(path_ + "/aside", generation() + "/pn_node"));

  const std::string other = version() + "/interfaces/" + std::to_string(rig_->pod(1).ifindex);
  for (const auto& [from, to] : {std::pair{interface_folder() + "/ingress", path_ + "/aside"},
                                 std::pair{other + "/ingress", interface_folder() + "/ingress"}}) {
    ASSERT_TRUE(tc::rename_folder(from, to));
  }
  EXPECT_NE(refused(options()).message.find("is not a TCX link on ingress of interface"), std::string::npos);
  ASSERT_TRUE(tc::rename_folder(interface_folder() + "/ingress", other + "/ingress"));
  ASSERT_TRUE(tc::rename_folder(path_ + "/aside", interface_folder() + "/ingress"));
  ASSERT_TRUE(enforce(options()));
}

TEST_P(Pins, UninstallTakesAllOfOursAndNothingElse) {
  const std::uint32_t ifindex = rig_->pod(0).ifindex;
  CountingProgram by_link(true);
  CountingProgram by_filter(false);
  by_link.attach(ifindex, true);
  by_filter.attach(ifindex, false);
  leave_pins();
  // Another version's interface, and what somebody else has put among our pins and beside them.
  const std::string old_version = path_ + "/v1";
  ASSERT_TRUE(tc::make_folder(old_version + "/generation-4"));
  const UniqueFd map(bpf_map_create(BPF_MAP_TYPE_ARRAY, "pn_old", 4, 8, 1, nullptr));
  ASSERT_EQ(bpf_obj_pin(map.get(), (old_version + "/generation-4/pn_of_old").c_str()), 0);
  ASSERT_TRUE(tc::rename_folder(version() + "/interfaces", old_version + "/interfaces"));
  const std::string beside = private_bpffs() + "/somebody";
  const std::string among = generation() + "/somebodys_map";
  pin_foreign_map(beside);
  pin_foreign_map(among);
  const std::size_t foreign_filters = GetParam() ? filters().size() - 2 : filters().size();

  auto report = tc::uninstall(path_);
  ASSERT_TRUE(report) << report.error().to_string();
  const std::string removed = joined(report->removed);
  const std::string kind = GetParam() ? " (clsact)" : " (TCX)";
  for (const char* hook : {"ingress", "egress"}) {
    EXPECT_NE(removed.find(hook + (" of interface " + std::to_string(ifindex)) + kind), std::string::npos) << removed;
  }
  EXPECT_NE(removed.find(old_version + "/generation-4"), std::string::npos) << removed;
  EXPECT_NE(joined(report->left).find(generation()), std::string::npos) << joined(report->left);
  EXPECT_EQ(tcx_programs(tc::Hook::ingress), 1u) << "somebody's link";
  EXPECT_EQ(tcx_programs(tc::Hook::egress), 0u);
  EXPECT_EQ(filters().size(), foreign_filters) << "somebody's filter";
  EXPECT_EQ(foreign_filters, 1u);
  EXPECT_EQ(access(beside.c_str(), F_OK), 0);
  EXPECT_EQ(access(among.c_str(), F_OK), 0);
  EXPECT_EQ(*tc::names_in(generation()), std::vector<std::string>{"somebodys_map"});

  ASSERT_EQ(unlink(among.c_str()), 0);
  ASSERT_TRUE(tc::uninstall(path_));
  EXPECT_FALSE(tc::folder_exists(path_));
  report = tc::uninstall(path_);
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->removed.empty() && report->left.empty()) << "once is enough";
  ASSERT_EQ(unlink(beside.c_str()), 0);
}

TEST_P(PinFolder, UninstallFindsFiltersWhosePinsAreGone) {
  TcOptions unpinned;
  unpinned.force_clsact = true;
  auto process = EnforcingProcess::start([&] { return enforce(unpinned); });
  ASSERT_TRUE(process) << process.error().to_string();
  process->kill();
  ASSERT_EQ(filters().size(), 2u) << "a filter outlives its process";
  const auto report = tc::uninstall(path_);
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(report->removed.size(), 2u) << joined(report->removed);
  EXPECT_TRUE(filters().empty());
}

TEST_P(PinFolder, TheQdiscGoesOnlyIfItIsOursAndNobodyUsesIt) {
  TcOptions clsact = options();
  clsact.force_clsact = true;
  const std::uint32_t ifindex = rig_->pod(0).ifindex;
  const auto has_qdisc = [&] {
    // A filter can be put where there is one.
    CountingProgram probe(false);
    return probe.try_attach(ifindex, true, false);
  };
  ASSERT_TRUE(enforce(clsact));
  enforcer_.reset();
  ASSERT_TRUE(enforce(clsact)) << "also when a second process has taken over";
  enforcer_.reset();
  ASSERT_TRUE(tc::uninstall(path_));
  EXPECT_FALSE(has_qdisc()) << "ours, and empty";

  CountingProgram somebody(false);
  ASSERT_TRUE(somebody.try_attach(ifindex, true, true));
  ASSERT_TRUE(enforce(clsact));
  enforcer_.reset();
  ASSERT_TRUE(tc::uninstall(path_));
  EXPECT_EQ(filters().size(), 1u) << "somebody else's";
}

INSTANTIATE_TEST_SUITE_P(, PinFolder, testing::Values(false));
INSTANTIATE_TEST_SUITE_P(, Pins, testing::Values(false, true),
                         [](const auto& way) { return way.param ? "clsact" : "best"; });

}  // namespace
}  // namespace postern::test
