// Whether what a rank stores to a multicast address reaches all ranks: one vector, to this rank's place of a row of
// ranks that begins where the one-shot region does.
#include "row.cuh"

namespace allnorm_kernel {

ALLNORM_KERNEL(kThreadsPerCta, kCtasPerMultiprocessor)
allnorm_test_multicast(ALLNORM_GRID_CONSTANT(Params) params) {
  if (thread_in_cta() != 0) return;
  const u32 word = multicast_test_word(params.rank);
  store_multicast(reinterpret_cast<Words4*>(params.multicast + params.one_shot.offset) + params.rank,
                  {word, word, word, word});
}

}  // namespace allnorm_kernel
