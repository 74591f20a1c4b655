// A Bootstrap over MPI, for programs whose ranks MPI has connected already, on one host or on many.
//
// In a library of its own, allnorm::mpi (-lallnorm_mpi), which is there where the build found an MPI and speaks the ABI
// of that one; a program for another kind of MPI (MPICH, Open MPI) does not link with it. liballnorm.so needs no MPI.
//
// Before: MPI_Init_thread() with MPI_THREAD_FUNNELED or more, since AllNorm has threads of its own; none of them calls
// MPI. Thread safety: one call at a time, on the thread that MPI allows: with MPI_THREAD_FUNNELED the main thread
// (any other gets an error), with MPI_THREAD_SERIALIZED not beside other MPI calls. This holds for the destructor, too.
//
// What lives how long: the communicator that was given may be freed at once, all goes over a duplicate. The Bootstrap
// outlives its Worlds, and is destroyed on all ranks before MPI_Finalize().
//
// No call waits for longer than the timeout and a quarter more (20 ms at least). An all-gather goes by messages from
// each rank to each, which name a rank that does not come; first the sizes, then, when all have come, the bytes. So a
// rank that comes when others have given up fails as well, a quarter of the timeout later, and blames those. What MPI
// leaves open: a rank that stands still between the two while others give up can have a last success, and fails in its
// next call. What MPI says of an error comes as an Error (kPeer), and most launchers end all ranks when the process of
// one ends.
//
// After a failure: the duplicate is never freed, receives are cancelled, and what cannot be cancelled stays pending
// with its memory: a barrier that not all ranks came to, and sends of many bytes that nobody took. A communicator over
// which ranks did not all meet is of no use for collectives any more, and is not to be freed. Others go on, and the
// ranks that are left can be a group over one of their own. With something pending MPI_Finalize() may wait for ever:
// end with MPI_Abort().
#ifndef ALLNORM_BOOTSTRAP_MPI_H_
#define ALLNORM_BOOTSTRAP_MPI_H_

#include <mpi.h>

#include <memory>

#include "allnorm/bootstrap.h"
#include "allnorm/export.h"

namespace allnorm {

/// All ranks of the communicator do this, in the same order as its other collectives; any communicator of 1 to 72 ranks
/// can be a group, and they may overlap. Returns when all ranks have come. The timeout is that of every later call,
/// too. Throws kInvalidArgument, kPeer; while it duplicates, the communicator's own error handler comes first (MPI's
/// default ends the program).
ALLNORM_EXPORT std::unique_ptr<Bootstrap> meet_over_mpi(MPI_Comm communicator, double timeout_seconds = 60);

}  // namespace allnorm

#endif  // ALLNORM_BOOTSTRAP_MPI_H_
