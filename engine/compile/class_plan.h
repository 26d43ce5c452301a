// SPDX-License-Identifier: Apache-2.0
// How addresses get from the classes they have to the signatures they shall have, without any packet
// seeing a third thing in between.
//
// Addresses of one (old class, new signature) make a group and move together. Rows that packets read
// until the switch and never after are *dying*; moving a group must not change their answers. So a
// group moves straight to the class of its signature where dying rows answer alike for both; else it
// takes a class of its own, whose columns in dying rows are those of the old class, and is merged
// after the switch. A class whose members all change alike keeps its number and changes its meaning.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <unordered_map>
#include <vector>

#include "engine/compile/address_sets.h"
#include "engine/compile/host_table.h"
#include "engine/compile/interval_table.h"

namespace postern {

struct ClassGroup {
  ClassId from = kNoTermClass;
  SignatureId to = kEmptySignature;
  std::uint64_t size = 0;          // hosts and intervals
  ClassId early = kNoTermClass;    // held from the move until the merge
  ClassId settled = kNoTermClass;  // held in the end
};

struct PlannedHost {
  StoredHost stored;  // place: only if it was stored before
  std::uint32_t group = 0;
  std::uint32_t around = 0;  // group of the interval it lies in
  bool stored_before = false;
  bool stored_after = false;
};

struct PlannedInterval {
  AddressNumber first = 0;
  std::uint32_t group = 0;
};

// A class number that comes into use.
struct FreshClass {
  ClassId id = 0;
  SignatureId signature = kEmptySignature;
  ClassId copy_from = kNoTermClass;  // whose columns it has in dying rows
};

// A class that keeps its number and its members and gets another signature.
struct RedefinedClass {
  ClassId id = 0;
  SignatureId signature = kEmptySignature;
};

class ClassPlan {
 public:
  // Both lists sorted by address.
  ClassPlan(const std::vector<StoredHost>& hosts, const std::vector<ClassInterval>& intervals,
            const AddressSignatures& wanted);

  // `signature_of`: of every class in use, kNoSignature for others. `dying_alike(a, b)`: whether all
  // dying rows answer alike for two old classes. `take_class` hands out class numbers.
  struct Choices {
    const std::vector<SignatureId>& signature_of;
    std::function<bool(ClassId, ClassId)> dying_alike;
    std::function<ClassId()> take_class;
  };
  void assign(const Choices& choices);

  [[nodiscard]] const std::vector<ClassGroup>& groups() const { return groups_; }
  [[nodiscard]] const std::vector<PlannedHost>& hosts() const { return hosts_; }
  [[nodiscard]] const std::vector<PlannedInterval>& intervals() const { return intervals_; }
  [[nodiscard]] const std::vector<FreshClass>& fresh() const { return fresh_; }
  [[nodiscard]] const std::vector<RedefinedClass>& redefined() const { return redefined_; }
  // Classes of their own: merged into what they map to after the switch.
  [[nodiscard]] const std::unordered_map<ClassId, ClassId>& merged_later() const { return merged_later_; }

 private:
  std::uint32_t group_of(ClassId from, SignatureId to);
  void plan_intervals(const std::vector<ClassInterval>& intervals, const AddressSignatures& wanted);
  void plan_hosts(const std::vector<StoredHost>& hosts, const AddressSignatures& wanted);
  void choose_leaders(const Choices& choices);

  std::vector<ClassGroup> groups_;
  std::unordered_map<std::uint64_t, std::uint32_t> by_key_;
  std::vector<PlannedHost> hosts_;
  std::vector<PlannedInterval> intervals_;
  std::vector<FreshClass> fresh_;
  std::vector<RedefinedClass> redefined_;
  std::unordered_map<ClassId, ClassId> merged_later_;
  // While assigning: the class of each signature, and whose columns it has in dying rows.
  std::unordered_map<SignatureId, ClassId> target_;
  std::unordered_map<ClassId, ClassId> dying_columns_of_;
};

}  // namespace postern
