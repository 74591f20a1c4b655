// PlanCache: the Plans that a workspace has used, found without a lock or an allocation.
//
// One thread at a time, like the workspace that owns it. The Plans belong to the PlanStore.
#ifndef ALLNORM_COMM_PLAN_CACHE_H_
#define ALLNORM_COMM_PLAN_CACHE_H_

#include <cstddef>
#include <vector>

#include "jit/plan.h"

namespace allnorm {

/// Open addressing with linear probing; at most half full.
class PlanCache {
 public:
  const Plan* find(const Spec& spec) const noexcept {
    for (std::size_t at = SpecHash()(spec);; at++) {
      const Plan* plan = slots_[at & (slots_.size() - 1)];
      if (plan == nullptr || plan->spec == spec) return plan;
    }
  }

  void insert(const Plan& plan) {
    if (find(plan.spec) != nullptr) return;
    if (2 * ++size_ > slots_.size()) {
      std::vector<const Plan*> old(2 * slots_.size(), nullptr);
      old.swap(slots_);
      for (const Plan* moved : old) {
        if (moved != nullptr) place(*moved);
      }
    }
    place(plan);
  }

 private:
  void place(const Plan& plan) noexcept {
    std::size_t at = SpecHash()(plan.spec);
    while (slots_[at & (slots_.size() - 1)] != nullptr) at++;
    slots_[at & (slots_.size() - 1)] = &plan;
  }

  std::vector<const Plan*> slots_ = std::vector<const Plan*>(64, nullptr);
  std::size_t size_ = 0;
};

}  // namespace allnorm

#endif  // ALLNORM_COMM_PLAN_CACHE_H_
