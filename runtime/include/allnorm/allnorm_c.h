/* AllNorm for C: AllReduce + residual + RMSNorm + FP8 / NVFP4 quantization in one GPU kernel.
 *
 * The same library as the C++ headers; what each call computes and demands of its arguments stands in fused.h, what a
 * world and a workspace are in workspace.h. Usable from C99 and from C++.
 *
 * Results: every function that can fail returns an allnorm_status, 0 on success. After any other, this thread's
 * allnorm_last_error_message() says which argument it was, what was given and what is allowed. A call that fails has
 * launched nothing, and has changed no result, except that a failed create stores NULL.
 *
 * Structs: each begins with its size, so that it can grow. Always fill one with its init function, then set what
 * differs from the defaults. A library newer than the program takes the shorter struct and uses defaults for the rest;
 * a library older than the program refuses a struct that is longer than it knows.
 *
 * Handles: worlds, buffers and streams must be destroyed before their context; a workspace belongs to its world and is
 * not destroyed. Nothing checks that a handle is alive.
 *
 * Threads: an allnorm_context may be used from any threads. One call at a time on a workspace or a buffer; different
 * ones may be used from different threads. allnorm_workspace_get_status() and allnorm_workspace_abort() may be called
 * from any thread at any time.
 */
#ifndef ALLNORM_ALLNORM_C_H_
#define ALLNORM_ALLNORM_C_H_

#include <stddef.h>
#include <stdint.h>

#include "allnorm/export.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- results ------------------------------------------------------------------------------------------------------ */

/* The numbers of allnorm::ErrorCode; a number never changes its meaning. */
typedef int32_t allnorm_status;
enum {
  ALLNORM_OK = 0,
  ALLNORM_INVALID_ARGUMENT = 1,     /* An argument is wrong; nothing was launched. */
  ALLNORM_UNSUPPORTED = 2,          /* Right in itself, but this GPU, driver or build cannot do it. */
  ALLNORM_NOT_PREPARED = 3,         /* A call in stream capture without an earlier prepare. */
  ALLNORM_CAPACITY = 4,             /* The workspace is too small for the call. */
  ALLNORM_TIMEOUT = 5,              /* A rank gave up waiting for a peer; see allnorm_workspace_get_status(). */
  ALLNORM_ABORTED = 6,              /* allnorm_workspace_abort() ended the waits. */
  ALLNORM_DRIVER = 7,               /* The CUDA driver is missing or returned an error. */
  ALLNORM_COMPILER = 8,             /* NVRTC (for the simulator: the C++ compiler) is missing or rejected a kernel. */
  ALLNORM_INVALID_TABLE = 9,        /* A tuned table cannot be read. */
  ALLNORM_INVALID_ENVIRONMENT = 10, /* An environment variable has a value that is not allowed. */
  ALLNORM_SIMULATION = 11,          /* The simulator found a fault of a kernel, or a deadlock. */
  ALLNORM_CACHE_MISS = 12,          /* A kernel is not in the cache, and the mode is require-hit. */
  ALLNORM_PEER = 13,                /* Another rank's process is gone, failed or did not come. */
  ALLNORM_MISMATCH = 14,            /* In checked mode: the ranks' calls differ; see the workspace's status. */
  ALLNORM_INTERNAL = 100            /* In C alone: host memory ran out, or an error that AllNorm should have named. */
};

/* "invalid argument", "not prepared", ...; "ok" for 0. Never NULL. */
ALLNORM_EXPORT const char* allnorm_status_name(allnorm_status status);

/* What went wrong in the last call of this thread that failed; "" if none did. Valid until the thread's next failure.
 */
ALLNORM_EXPORT const char* allnorm_last_error_message(void);

/* The version of the library that runs, "0.1.0". That of the headers is ALLNORM_VERSION_STRING (allnorm/version.h). */
ALLNORM_EXPORT const char* allnorm_version(void);

/* --- vocabulary --------------------------------------------------------------------------------------------------- */

typedef int32_t allnorm_data_type;
enum {
  ALLNORM_F32 = 0,
  ALLNORM_F16 = 1,
  ALLNORM_BF16 = 2,
  ALLNORM_E4M3 = 3,
  ALLNORM_U8 = 4,
  ALLNORM_E2M1X2 = 5 /* A byte with two e2m1 values, the even column in the low nibble. */
};

typedef int32_t allnorm_quant;
enum { ALLNORM_QUANT_NONE = 0, ALLNORM_QUANT_FP8 = 1, ALLNORM_QUANT_NVFP4 = 2, ALLNORM_QUANT_DYNAMIC_FP8 = 3 };

typedef int32_t allnorm_scale_layout;
enum { ALLNORM_SWIZZLED_128X4 = 0, ALLNORM_SWIZZLED_8X4 = 1, ALLNORM_LINEAR = 2 };

typedef int32_t allnorm_strategy;
enum { ALLNORM_ONE_SHOT = 0, ALLNORM_TWO_SHOT = 1, ALLNORM_AUTO = 99 };

typedef int32_t allnorm_pdl_trigger;
enum { ALLNORM_PDL_EARLY = 0, ALLNORM_PDL_LATE = 1 };

/* A dense row-major matrix in device memory; a vector has one row. data == NULL: not given. (Never grows.) */
typedef struct allnorm_tensor {
  void* data;
  int64_t rows;
  int64_t columns;
  allnorm_data_type dtype;
} allnorm_tensor;

static inline allnorm_tensor allnorm_make_tensor(void* data, allnorm_data_type dtype, int64_t rows, int64_t columns) {
  allnorm_tensor tensor;
  tensor.data = data;
  tensor.rows = rows;
  tensor.columns = columns;
  tensor.dtype = dtype;
  return tensor;
}

/* --- context: the GPUs or the simulated ones, the compiler with its cache ----------------------------------------- */

typedef struct allnorm_context allnorm_context;

typedef struct allnorm_context_options {
  size_t struct_size;
  const char* table_path;      /* A tuned table. NULL: $ALLNORM_TABLE, the user's, the shipped ones. */
  const char* cache_directory; /* NULL: $ALLNORM_CACHE_DIR or the user's cache folder. */
  const char* device;          /* "cuda", "sim" or "sim:N"; see context.h. NULL: $ALLNORM_DEVICE, or what is here. */
  const char* cache_mode;      /* "normal", "read-only", "require-hit" or "off"; see context.h. NULL: $ALLNORM_CACHE. */
  const char* prebuilt_directories; /* Absolute paths with colons between them, looked into first. NULL: none. */
} allnorm_context_options;

/* options may be NULL. ALLNORM_DRIVER where "cuda" was asked for and there is no usable CUDA driver or no GPU. */
ALLNORM_EXPORT allnorm_status allnorm_context_create(const allnorm_context_options* options, allnorm_context** context);
/* NULL does nothing. */
ALLNORM_EXPORT void allnorm_context_destroy(allnorm_context* context);
/* GPUs that the driver shows, or simulated ones. */
ALLNORM_EXPORT allnorm_status allnorm_context_device_count(const allnorm_context* context, int32_t* count);
/* 1 or 0. */
ALLNORM_EXPORT allnorm_status allnorm_context_is_simulated(const allnorm_context* context, int32_t* is_simulated);
/* Waits for everything on a GPU. */
ALLNORM_EXPORT allnorm_status allnorm_context_synchronize(allnorm_context* context, int32_t device);

/* --- memory and streams, for programs that do without the CUDA runtime; see buffer.h ------------------------------ */

typedef struct allnorm_buffer allnorm_buffer;

/* Memory of a GPU; what it holds is undefined. */
ALLNORM_EXPORT allnorm_status allnorm_buffer_create(allnorm_context* context, int32_t device, size_t bytes,
                                                    allnorm_buffer** buffer);
/* NULL does nothing. Every stream must have passed the calls that use the memory. */
ALLNORM_EXPORT void allnorm_buffer_destroy(allnorm_buffer* buffer);
/* The address for a tensor's data. */
ALLNORM_EXPORT allnorm_status allnorm_buffer_data(const allnorm_buffer* buffer, void** data);
/* These happen at once, and wait for no call: synchronise first with whatever uses the same memory. */
ALLNORM_EXPORT allnorm_status allnorm_buffer_write(allnorm_buffer* buffer, size_t offset, const void* from,
                                                   size_t bytes);
ALLNORM_EXPORT allnorm_status allnorm_buffer_read(const allnorm_buffer* buffer, size_t offset, void* to, size_t bytes);
/* All of it. */
ALLNORM_EXPORT allnorm_status allnorm_buffer_fill(allnorm_buffer* buffer, uint8_t byte);

/* A non-blocking stream of a GPU, for the calls below; on a GPU a cudaStream_t as any other. */
ALLNORM_EXPORT allnorm_status allnorm_stream_create(allnorm_context* context, int32_t device, void** stream);
/* Waits for what it holds. NULL does nothing. */
ALLNORM_EXPORT allnorm_status allnorm_stream_destroy(allnorm_context* context, int32_t device, void* stream);
/* Waits for what it holds; whether a call gave up is in allnorm_workspace_get_status(). */
ALLNORM_EXPORT allnorm_status allnorm_stream_synchronize(allnorm_context* context, int32_t device, void* stream);

/* --- world and workspaces: the memory through which ranks meet ---------------------------------------------------- */

typedef struct allnorm_world allnorm_world;
typedef struct allnorm_workspace allnorm_workspace;

/* timeout_seconds: $ALLNORM_TIMEOUT_SECONDS, or 30. */
#define ALLNORM_DEFAULT_TIMEOUT (-1.0)

typedef struct allnorm_world_options {
  size_t struct_size;
  const int32_t* devices; /* [world_size] The GPU of each rank; a GPU named more than once carries virtual ranks. */
  int32_t world_size;
  int64_t max_row_bytes;       /* The largest row of any call: hidden_dim times the size of an element. */
  int64_t max_tokens_one_shot; /* The most tokens of a one-shot call; 0: no one-shot calls. */
  int64_t max_tokens_two_shot; /* The most tokens of a two-shot call; 0: no two-shot calls. */
  double timeout_seconds;      /* How long a call waits for a peer; 0: for ever. */
  int32_t multicast;           /* A flag: store by multicast where that can be, as $ALLNORM_MULTICAST asks, too. */
  int32_t checked;             /* A flag: the ranks compare each call before it runs, as $ALLNORM_CHECKED asks, too. */
} allnorm_world_options;

ALLNORM_EXPORT allnorm_status allnorm_world_create(allnorm_context* context, const allnorm_world_options* options,
                                                   allnorm_world** world);
/* Waits for the GPUs. NULL does nothing. */
ALLNORM_EXPORT void allnorm_world_destroy(allnorm_world* world);
/* After a timeout or an abort: waits for all GPUs, renews buffers and state. */
ALLNORM_EXPORT allnorm_status allnorm_world_reset(allnorm_world* world);
ALLNORM_EXPORT allnorm_status allnorm_world_size(const allnorm_world* world, int32_t* size);
/* As World::suspend() and World::resume(): the receive buffers' memory is given back, and comes again at the same
 * addresses. */
ALLNORM_EXPORT allnorm_status allnorm_world_suspend(allnorm_world* world);
ALLNORM_EXPORT allnorm_status allnorm_world_resume(allnorm_world* world);
/* The workspace of a rank of this process; it lives as long as the world. */
ALLNORM_EXPORT allnorm_status allnorm_world_rank(allnorm_world* world, int32_t rank, allnorm_workspace** workspace);

/* A group of ranks, each a process, as allnorm::Bootstrap: see bootstrap.h. It outlives the worlds in it. */
typedef struct allnorm_group allnorm_group;
/* Processes of one user on one host, which meet in `directory` (NULL: the usual one) under the name `session`. */
ALLNORM_EXPORT allnorm_status allnorm_group_meet_on_host(int32_t rank, int32_t world_size, const char* session,
                                                         const char* directory, double timeout_seconds,
                                                         allnorm_group** group);
/* The same for the ranks of torchrun or mpirun, as the environment names them. */
ALLNORM_EXPORT allnorm_status allnorm_group_meet_launched(double timeout_seconds, allnorm_group** group);
/* The program's own gather: all ranks call it with as many bytes, and `all` gets [world_size][bytes], by rank. Returns
 * 0; anything else is an error, and the group is of no more use. */
typedef int32_t (*allnorm_all_gather_function)(void* user, const void* mine, size_t bytes, void* all);
ALLNORM_EXPORT allnorm_status allnorm_group_from_all_gather(int32_t rank, int32_t world_size,
                                                            allnorm_all_gather_function function, void* user,
                                                            allnorm_group** group);
/* NULL does nothing. */
ALLNORM_EXPORT void allnorm_group_destroy(allnorm_group* group);
/* This process's rank of a world, on this GPU; options.devices stays NULL and options.world_size 0. All ranks do this
 * together, and get the same status and message. */
ALLNORM_EXPORT allnorm_status allnorm_world_create_in_group(allnorm_context* context, allnorm_group* group,
                                                            int32_t device, const allnorm_world_options* options,
                                                            allnorm_world** world);
/* The workspace of this process's rank (where all ranks are here, rank 0's). */
ALLNORM_EXPORT allnorm_status allnorm_world_own(allnorm_world* world, allnorm_workspace** workspace);

/* Whether a rank's calls are still good, and if not, who gave up waiting for whom. */
typedef struct allnorm_workspace_status {
  size_t struct_size;
  int32_t healthy;     /* 1 or 0. All that follows is meaningful when it is 0. */
  allnorm_status code; /* ALLNORM_TIMEOUT, ALLNORM_ABORTED or ALLNORM_MISMATCH. */
  int32_t rank;        /* The rank that gave up first, or -1. */
  int32_t waited_for;  /* The rank that it waited for, or -1. */
  int64_t row;         /* Or -1. */
  uint64_t epoch;      /* How many calls of the strategy that row had finished. */
  allnorm_strategy strategy;
  char phase[16];    /* "one-shot", "scatter", "broadcast" or "comparison". */
  char message[492]; /* All of this in a sentence, cut off where it is longer. */
} allnorm_workspace_status;

/* The most tokens of a call; 0 if its rows do not fit. */
ALLNORM_EXPORT allnorm_status allnorm_workspace_max_tokens(const allnorm_workspace* workspace,
                                                           allnorm_strategy strategy, int32_t hidden_dim,
                                                           allnorm_data_type dtype, int64_t* max_tokens);
/* Bytes of receive buffers that a rank of such a world takes. In a group devices is NULL here, too, but world_size is
 * needed. */
ALLNORM_EXPORT allnorm_status allnorm_workspace_required_bytes(const allnorm_world_options* options, int64_t* bytes);
/* Whether the ranks store by multicast: 1 or 0. */
ALLNORM_EXPORT allnorm_status allnorm_workspace_uses_multicast(const allnorm_workspace* workspace,
                                                               int32_t* uses_multicast);
/* Reads the device; does not wait for calls that run. */
ALLNORM_EXPORT allnorm_status allnorm_workspace_get_status(const allnorm_workspace* workspace,
                                                           allnorm_workspace_status* status);
/* Ends all waits of this rank's and its peers' calls. The world is of no use until allnorm_world_reset(). */
ALLNORM_EXPORT allnorm_status allnorm_workspace_abort(allnorm_workspace* workspace);
/* Also for calls already captured in graphs. 0: wait for ever. */
ALLNORM_EXPORT allnorm_status allnorm_workspace_set_timeout(allnorm_workspace* workspace, double seconds);

/* --- the calls ---------------------------------------------------------------------------------------------------- */

/* epsilon: the machine epsilon of input's dtype. */
#define ALLNORM_DEFAULT_EPSILON (-1.0f)

/* As allnorm::FusedCall. For flags, 0 is no and all else is yes. */
typedef struct allnorm_fused_call {
  size_t struct_size;
  allnorm_tensor input;        /* [num_tokens, hidden_dim] f32, f16 or bf16: this rank's partial sum. */
  allnorm_tensor residual_in;  /* Like input. */
  allnorm_tensor gamma;        /* [1, hidden_dim] of input's dtype or f32. */
  allnorm_tensor output;       /* Like input; optional with quantization. */
  allnorm_tensor residual_out; /* Like input; optional. */
  allnorm_tensor quant_out; /* FP8: [num_tokens, hidden_dim] e4m3. NVFP4: [num_tokens, hidden_dim / 2] u8 or e2m1x2. */
  allnorm_tensor scale_out; /* NVFP4 and dynamic FP8 alone; see fused.h. */
  const float* output_scale_pointer; /* Overrides output_scale: one f32 on the GPU. */
  float output_scale;                /* FP8 divides by it, NVFP4 multiplies. */
  float epsilon;                     /* >= 0, or ALLNORM_DEFAULT_EPSILON. */
  float weight_bias;                 /* Added to gamma. */
  allnorm_quant quant;
  allnorm_scale_layout layout; /* Used by NVFP4 alone. */
  allnorm_strategy strategy;
  int32_t launch_with_pdl; /* A flag. */
  allnorm_pdl_trigger pdl_trigger;
  int32_t zero_scale_padding; /* A flag. */
  int32_t reserved;           /* Leave it 0. */
} allnorm_fused_call;

/* As allnorm::AllReduceCall. */
typedef struct allnorm_allreduce_call {
  size_t struct_size;
  allnorm_tensor input;  /* [num_tokens, hidden_dim] f32, f16 or bf16. */
  allnorm_tensor output; /* Like input. */
  allnorm_strategy strategy;
  int32_t launch_with_pdl; /* A flag. */
  allnorm_pdl_trigger pdl_trigger;
  int32_t reserved; /* Leave it 0. */
} allnorm_allreduce_call;

/* stream: a cudaStream_t or CUstream of the rank's GPU, or one of allnorm_stream_create(). All ranks must make the
 * call. With quantization: */
ALLNORM_EXPORT allnorm_status allnorm_fused_allreduce_add_rmsnorm_quant(allnorm_workspace* workspace,
                                                                        const allnorm_fused_call* call, void* stream);
/* Without: quant must be ALLNORM_QUANT_NONE. */
ALLNORM_EXPORT allnorm_status allnorm_fused_allreduce_add_rmsnorm(allnorm_workspace* workspace,
                                                                  const allnorm_fused_call* call, void* stream);
/* The sum alone. */
ALLNORM_EXPORT allnorm_status allnorm_allreduce(allnorm_workspace* workspace, const allnorm_allreduce_call* call,
                                                void* stream);

/* Compiles and loads what such calls need for 1 to num_tokens tokens; pointers are not followed. Call it for all ranks
 * before the first call. */
ALLNORM_EXPORT allnorm_status allnorm_prepare_fused(allnorm_workspace* workspace, const allnorm_fused_call* call);
ALLNORM_EXPORT allnorm_status allnorm_prepare_allreduce(allnorm_workspace* workspace,
                                                        const allnorm_allreduce_call* call);

/* --- defaults ----------------------------------------------------------------------------------------------------- */

/* Fill a struct of `struct_size` bytes; for other languages. In C and C++ use the inline functions below, which know
 * the size that the program was compiled with. */
ALLNORM_EXPORT allnorm_status allnorm_context_options_init_sized(allnorm_context_options* options, size_t struct_size);
ALLNORM_EXPORT allnorm_status allnorm_world_options_init_sized(allnorm_world_options* options, size_t struct_size);
ALLNORM_EXPORT allnorm_status allnorm_workspace_status_init_sized(allnorm_workspace_status* status, size_t struct_size);
ALLNORM_EXPORT allnorm_status allnorm_fused_call_init_sized(allnorm_fused_call* call, size_t struct_size);
ALLNORM_EXPORT allnorm_status allnorm_allreduce_call_init_sized(allnorm_allreduce_call* call, size_t struct_size);

static inline allnorm_status allnorm_context_options_init(allnorm_context_options* options) {
  return allnorm_context_options_init_sized(options, sizeof(*options));
}
static inline allnorm_status allnorm_world_options_init(allnorm_world_options* options) {
  return allnorm_world_options_init_sized(options, sizeof(*options));
}
static inline allnorm_status allnorm_workspace_status_init(allnorm_workspace_status* status) {
  return allnorm_workspace_status_init_sized(status, sizeof(*status));
}
static inline allnorm_status allnorm_fused_call_init(allnorm_fused_call* call) {
  return allnorm_fused_call_init_sized(call, sizeof(*call));
}
static inline allnorm_status allnorm_allreduce_call_init(allnorm_allreduce_call* call) {
  return allnorm_allreduce_call_init_sized(call, sizeof(*call));
}

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* ALLNORM_ALLNORM_C_H_ */
