// What the host and a kernel share: the launch parameters, and the memory that outlives a call.
//
// Plain C++; the runtime includes this file as it is. All sizes are in bytes unless a name says otherwise.
#ifndef ALLNORM_KERNELS_PARAMS_CUH_
#define ALLNORM_KERNELS_PARAMS_CUH_

#include "number_formats.cuh"

namespace allnorm_kernel {

inline constexpr int kMaxRanks = 72;
inline constexpr u32 kBuffers = 3;

/// A word that no sanitised payload holds: -0 in f32, (+0, -0) as a pair of 16-bit elements.
inline constexpr u32 kSentinel = 0x80000000u;

/// Rotation state of a (strategy, row), in private memory: it outlives calls, so that graphs replay.
struct alignas(16) RowState {
  u32 buffer;         ///< The receive buffer that the row's next call uses, or kPoisonedRow.
  u32 dirty_vectors;  ///< Vectors that the row's last call wrote into the buffer before that one.
  u64 epoch;          ///< Calls that this row has finished.
};

/// A wait for this row was given up: its calls leave at once.
inline constexpr u32 kPoisonedRow = kBuffers;

/// kCompare and kDiffers: of the comparison of calls, where the row is 0 and the epoch the number of the call.
enum class Phase : u32 { kOneShot = 0, kScatter = 1, kBroadcast = 2, kCompare = 3, kDiffers = 4 };

/// Who gave up waiting, for whom, and where. Every rank has a slot for each rank's report; only that rank writes it,
/// once, over zeros.
struct alignas(16) Report {
  u32 check;  ///< check_of() the others: then all have arrived, in whatever order they did.
  u32 rank;
  u32 waited_for;
  u32 phase;
  u64 row;
  u64 epoch;
};

/// Of rows and epochs below 2^31, not that of any words of which some are still 0.
ALLNORM_DEVICE u32 check_of(u32 rank, u32 waited_for, u32 phase, u64 row, u64 epoch) {
  const u64 where = row + epoch;
  return 0x5A000000u + rank + waited_for + phase + static_cast<u32>(where) + static_cast<u32>(where >> 32);
}

/// What the ranks' calls are compared by in checked mode: tokens; hidden_dim; a byte each for operation, dtype, quant
/// and strategy, from the highest; then kMade, or kRefused where the arguments were refused and nothing else runs.
inline constexpr u32 kComparedWords = 4;
inline constexpr u32 kOutcomeWord = 3;
inline constexpr u32 kMade = 0;
inline constexpr u32 kRefused = 1;
/// Each word with the number of its call in the upper half.
struct ComparedCall {
  u64 words[kComparedWords];
};
/// Of the call before which `calls` were compared. Never that of the call before the last, which is what lies there.
ALLNORM_DEVICE u32 call_number(u64 calls) { return static_cast<u32>(calls) + 1; }

/// What a rank stores when multicast is tested.
ALLNORM_DEVICE u32 multicast_test_word(u32 rank) { return 0x5A000000u + rank; }

/// Control::poison: 0 while healthy; else rank + 1 of who gave up first, or kAbortedByHost.
inline constexpr u32 kAbortedByHost = 0xFFFFFFFFu;

/// The head of each rank's symmetric memory.
struct alignas(16) Control {
  u32 poison;
  u32 claim;                ///< Not 0: a thread of this rank writes the rank's reports, and then the poison.
  u64 timeout_nanoseconds;  ///< 0: wait for ever. Read only in the slow path, so that graphs obey a later setting.
  Report reports[kMaxRanks];
  ComparedCall calls[2][kMaxRanks];  ///< Of calls with an even, an odd number before them.
};

/// A part of each rank's symmetric memory that holds rows in transit: [buffer][source rank][row], each a slot of the
/// same size, so that the rows of a call lie side by side. Fixed at creation.
struct Region {
  u64 offset;        ///< From the start of the symmetric memory.
  u64 source_bytes;  ///< From a source's slots to the next one's: rows * slot size.
};

template <int kRanks>
struct ParamsFor {
  const void* input;        ///< [tokens, hidden_dim] of the dtype
  const void* residual_in;  ///< likewise
  const void* gamma;        ///< [hidden_dim] of the gamma dtype
  void* output;             ///< the normalised rows (all-reduce alone: the sums)
  void* residual_out;
  void* quant_out;
  void* scale_out;
  const float* output_scale_pointer;  ///< overrides output_scale when not null
  float output_scale;
  float epsilon;
  float weight_bias;
  float inverse_scale;  ///< RN(1 / output_scale), of static FP8
  u32 rank;
  u32 tokens;
  u32 slot_bytes;    ///< of a row slot: the largest row
  RowState* states;  ///< of the kernel's strategy, one a row; of comparisons: theirs
  char* peer_slots;  ///< of two ranks, one-shot, at the peer: this rank's slot of row 0 in buffer 0
  char* own_slots;   ///< the same here: the peer's slot
  Region one_shot;
  Region scatter;                ///< rows that this rank owns
  Region broadcast;              ///< one source: the owner
  u32 compared[kComparedWords];  ///< of the comparison alone: this rank's call
  char* multicast;               ///< the symmetric memory of all ranks at once, or null
  char* symmetric[kRanks];       ///< each rank's symmetric memory, as mapped here
};

}  // namespace allnorm_kernel

#endif  // ALLNORM_KERNELS_PARAMS_CUH_
