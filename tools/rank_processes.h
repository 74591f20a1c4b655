// `--spawn N`: this program again, once for each rank of a group.
#ifndef ALLNORM_TOOLS_RANK_PROCESSES_H_
#define ALLNORM_TOOLS_RANK_PROCESSES_H_

namespace allnorm::tools {

/// Runs this process's own command line, but for --spawn, in `count` processes whose environment is that of torchrun's
/// ranks, and waits for all of them; when one has failed, not for long. Ctrl-C and SIGTERM reach all of them; the
/// second time, they are ended. Gives the worst of their exit codes; kExitUnavailable for one that was killed, which is
/// said on stderr. Throws std::runtime_error if one cannot be started.
int spawn_ranks(int count);

/// For a process that is one of these: it ends when its parent does.
void end_with_parent();

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_RANK_PROCESSES_H_
